package artefacts

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/moonx-farm/ws-gateway/config"
)

// compose is what tests look at in docker-compose.yml.
type compose struct {
	Services map[string]service
	Networks map[string]any
	Volumes  map[string]any
}

type service struct {
	Image       string
	Profiles    []string
	Command     []string
	Environment any
	Volumes     []string
	Ports       []string
	Networks    any
	DependsOn   any `yaml:"depends_on"`
	Healthcheck struct{ Test []string }
	Deploy      struct {
		Replicas  int
		Resources struct {
			Limits struct{ CPUs, Memory string }
		}
	}
	ReadOnly        bool     `yaml:"read_only"`
	CapDrop         []string `yaml:"cap_drop"`
	SecurityOpt     []string `yaml:"security_opt"`
	StopGracePeriod string   `yaml:"stop_grace_period"`
	Restart         string
}

// variable is ${NAME}, with what stands for it when it is unset or set.
var variable = regexp.MustCompile(`\$\{([A-Z_]+)(?:(:?[-+])([^}]*))?\}`)

// expand does what Compose and HAProxy do with variables.
func expand(text string, set map[string]string) string {
	return variable.ReplaceAllStringFunc(text, func(s string) string {
		m := variable.FindStringSubmatch(s)
		value := set[m[1]]
		switch {
		case strings.HasSuffix(m[2], "+"):
			if value != "" {
				return m[3]
			}
			return ""
		case value == "":
			return m[3]
		}
		return value
	})
}

// composeWith reads docker-compose.yml as it is with variables.
func composeWith(t *testing.T, set map[string]string) compose {
	t.Helper()
	var c compose
	if err := yaml.Unmarshal([]byte(expand(string(read(t, "docker-compose.yml")), set)), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// environ is the environment of a service as entries NAME=value.
func (s service) environ() []string {
	var out []string
	switch env := s.Environment.(type) {
	case []any:
		for _, e := range env {
			out = append(out, fmt.Sprint(e))
		}
	case map[string]any:
		for name, value := range env {
			out = append(out, fmt.Sprint(name, "=", value))
		}
	}
	return out
}

// gatewayConfig is what the gateways of Compose read, who must have no fault.
func gatewayConfig(t *testing.T, c compose) config.Config {
	t.Helper()
	cfg, err := config.Load(c.Services["gateway"].environ(), "test")
	if err != nil {
		t.Fatalf("the gateways of docker-compose.yml do not start:\n%v", err)
	}
	return cfg
}

func TestComposeSetsWhatTheGatewayReads(t *testing.T) {
	for name, set := range map[string]map[string]string{
		"as it stands":                nil,
		"with an auth service":        {"AUTH_SERVICE_URL": "http://auth:8080"},
		"with a key":                  {"AUTH_JWT_SECRET": "0123456789abcdef0123456789abcdef"},
		"with public keys":            {"AUTH_JWT_JWKS_URL": "https://auth/jwks.json"},
		"with a key of the API":       {"ADMIN_API_KEYS": "0123456789abcdef"},
		"with another level":          {"SECURITY_LEVEL": "strict", "ALLOWED_ORIGINS": "https://app.example"},
		"with another network":        {"GATEWAY_NETWORK": "10.9.8"},
		"with a longer drain":         {"DRAIN_WINDOW": "30s"},
		"without performance mode":    {"PERFORMANCE_MODE": "false"},
		"with other hosts of the API": {"ADMIN_ALLOWED_HOSTS": "gateway,api.internal"},
	} {
		t.Run(name, func(t *testing.T) {
			c := composeWith(t, set)
			names := config.Names()
			for _, entry := range c.Services["gateway"].environ() {
				variable, _, _ := strings.Cut(entry, "=")
				if !slices.Contains(names, variable) && !strings.HasPrefix(variable, "UNUSED_") {
					t.Errorf("%s is no setting", variable)
				}
			}
			cfg := gatewayConfig(t, c)
			named := set["AUTH_SERVICE_URL"]+set["AUTH_JWT_SECRET"]+set["AUTH_JWT_JWKS_URL"] != ""
			if cfg.Auth.Development() == named {
				t.Errorf("development identities: %v", cfg.Auth.Development())
			}
			if !cfg.Redis.Enabled() {
				t.Error("several gateways have no Redis")
			}
		})
	}
}

func TestComposeStopsGatewaysAfterTheirDrain(t *testing.T) {
	c := composeWith(t, nil)
	cfg := gatewayConfig(t, c)
	grace, err := time.ParseDuration(c.Services["gateway"].StopGracePeriod)
	if err != nil || grace < cfg.StopTime() {
		t.Errorf("stop_grace_period %v (%v): a stop may take %v", grace, err, cfg.StopTime())
	}
	// The balancer sees within two checks of a second that an instance drains.
	if cfg.Gateway.DrainDelay < 3*time.Second {
		t.Errorf("DRAIN_DELAY is %v", cfg.Gateway.DrainDelay)
	}
}

func TestComposeLetsTheBalancerAloneSpeakForClients(t *testing.T) {
	for _, network := range []string{"", "10.9.8"} {
		c := composeWith(t, map[string]string{"GATEWAY_NETWORK": network})
		networks, _ := c.Services["balancer"].Networks.(map[string]any)
		at, _ := networks["clients"].(map[string]any)
		if got := gatewayConfig(t, c).Gateway.TrustedProxies; !slices.Equal(got, []string{fmt.Sprint(at["ipv4_address"])}) {
			t.Errorf("trusted: %v, the balancer is at %v", got, at["ipv4_address"])
		}
		definition := fmt.Sprint(c.Networks["clients"])
		if !strings.Contains(definition, "subnet:"+strings.TrimSuffix(fmt.Sprint(at["ipv4_address"]), ".2")+".0/24") {
			t.Errorf("the balancer at %v is not in %s", at["ipv4_address"], definition)
		}
	}
}

func TestComposeGivesContainersNothingTheyDoNotNeed(t *testing.T) {
	c := composeWith(t, nil)
	for _, name := range []string{"gateway", "balancer"} {
		s := c.Services[name]
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s: read_only %v, cap_drop %v, security_opt %v", name, s.ReadOnly, s.CapDrop, s.SecurityOpt)
		}
	}
	for name, s := range c.Services {
		if s.Restart == "" {
			t.Errorf("%s is not restarted", name)
		}
		if len(s.Profiles) == 0 && s.Deploy.Resources.Limits.Memory == "" {
			t.Errorf("%s has no limit of memory", name)
		}
		for _, port := range s.Ports {
			if name != "balancer" && !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s is published to everybody: %s", name, port)
			}
		}
	}
	if n := c.Services["gateway"].Deploy.Replicas; n != 4 {
		t.Errorf("%d gateways", n)
	}
}

func TestWhatComposeMountsIsThere(t *testing.T) {
	c := composeWith(t, nil)
	for name, s := range c.Services {
		for _, volume := range s.Volumes {
			from, _, _ := strings.Cut(volume, ":")
			if _, named := c.Volumes[from]; named {
				continue
			}
			if _, err := os.Stat(filepath.Join(root, from)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, network := range networkNames(s.Networks) {
			if _, there := c.Networks[network]; !there {
				t.Errorf("%s is in no network %s", name, network)
			}
		}
	}
	redis := strings.Join(c.Services["redis"].Command, " ")
	for _, option := range []string{"--appendonly yes", "--maxmemory-policy noeviction"} {
		if !strings.Contains(redis, option) {
			t.Errorf("Redis is not started with %s", option)
		}
	}
}

func networkNames(networks any) []string {
	switch n := networks.(type) {
	case []any:
		var out []string
		for _, name := range n {
			out = append(out, fmt.Sprint(name))
		}
		return out
	case map[string]any:
		return slices.Sorted(maps.Keys(n))
	}
	return nil
}

// timeouts are those of a section of the balancer's configuration.
func timeouts(t *testing.T) map[string]time.Duration {
	t.Helper()
	all := map[string]time.Duration{}
	_, defaults, _ := strings.Cut(string(read(t, "config/deploy/haproxy/haproxy.cfg")), "\ndefaults\n")
	defaults, _, _ = strings.Cut(defaults, "\nfrontend ")
	for _, m := range regexp.MustCompile(`(?m)^\ttimeout (\S+) (\S+)$`).FindAllStringSubmatch(defaults, -1) {
		if m[1] == "resolve" || m[1] == "retry" {
			continue
		}
		d, err := time.ParseDuration(m[2])
		if err != nil {
			t.Fatal(err)
		}
		all[m[1]] = d
	}
	return all
}

func TestTheBalancerWaitsLongerThanTheGatewayIsSilent(t *testing.T) {
	cfg := gatewayConfig(t, composeWith(t, nil))
	at := timeouts(t)
	if silent := cfg.Transport.HeartbeatInterval + cfg.Transport.HeartbeatTimeout; at["tunnel"] <= silent {
		t.Errorf("timeout tunnel %v: a WebSocket may be silent for %v", at["tunnel"], silent)
	}
	if waits := cfg.Engine.PingInterval + cfg.Engine.PingTimeout; at["server"] <= waits || at["client"] <= waits {
		t.Errorf("timeout server %v, client %v: a poll may wait for %v", at["server"], at["client"], waits)
	}
	ports := expand(string(read(t, "config/deploy/haproxy/haproxy.cfg")), nil)
	for _, line := range []string{
		fmt.Sprintf(`"gateway:%d"`, cfg.Server.Port), fmt.Sprintf(`"gateway:%d"`, cfg.Server.AdminPort),
		fmt.Sprintf(`bind ":%d"`, cfg.Server.Port), fmt.Sprintf(`bind ":%d"`, cfg.Server.AdminPort),
	} {
		if !strings.Contains(ports, line) {
			t.Errorf("the balancer's configuration has no %s", line)
		}
	}
	if n := composeWith(t, nil).Services["gateway"].Deploy.Replicas; n > templates(t) {
		t.Errorf("the balancer has room for %d of %d gateways", templates(t), n)
	}
}

// templates is how many gateways the balancer has room for.
func templates(t *testing.T) int {
	t.Helper()
	m := regexp.MustCompile(`server-template gateway 1-(\d+) `).FindStringSubmatch(string(read(t, "config/deploy/haproxy/haproxy.cfg")))
	if m == nil {
		t.Fatal("there is no server-template")
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestPrometheusAsksForWhatTheGatewayServes(t *testing.T) {
	var p struct {
		RuleFiles     []string `yaml:"rule_files"`
		ScrapeConfigs []struct {
			DNS []struct {
				Names []string
				Port  int
			} `yaml:"dns_sd_configs"`
		} `yaml:"scrape_configs"`
	}
	readYAML(t, "config/deploy/prometheus/prometheus.yml", &p)
	for _, name := range p.RuleFiles {
		read(t, "config/deploy/prometheus/"+name)
	}
	cfg := gatewayConfig(t, composeWith(t, nil))
	if dns := p.ScrapeConfigs[0].DNS[0]; dns.Port != cfg.Server.AdminPort || !slices.Equal(dns.Names, []string{"gateway"}) {
		t.Errorf("%+v", dns)
	}
}
