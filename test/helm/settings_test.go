package helm

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"flag"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/config"
)

// mounted is where the chart mounts files.
const mounted = "/etc/ws-gateway/"

// environment is what the gateway's container finds around itself: variables by
// name, and files below root instead of mounted.
func environment(r rendering, root string) map[string]string {
	r.t.Helper()
	c := r.gateway().Template.Spec.Containers[0]
	vars := map[string]string{}
	for _, from := range c.EnvFrom {
		if from.ConfigMapRef != nil {
			m, ok := r.find("ConfigMap", from.ConfigMapRef.Name)
			if !ok {
				r.t.Errorf("the ConfigMap %s is not rendered", from.ConfigMapRef.Name)
			}
			maps.Copy(vars, m.Data)
		}
		if from.SecretRef != nil {
			m, _ := r.find("Secret", from.SecretRef.Name) // else an existing one
			maps.Copy(vars, m.StringData)
		}
	}
	for _, v := range c.Env {
		switch {
		case v.ValueFrom == nil:
			vars[v.Name] = regexp.MustCompile(`\$\([A-Z_]+\)`).ReplaceAllStringFunc(v.Value, func(ref string) string {
				if vars[ref[2:len(ref)-1]] == "" {
					r.t.Errorf("%s=%s: %s stands before it is defined", v.Name, v.Value, ref)
				}
				return vars[ref[2:len(ref)-1]]
			})
		case v.ValueFrom.SecretKeyRef != nil:
			vars[v.Name] = "0123456789abcdef0123456789abcdef"
		case v.ValueFrom.FieldRef.FieldPath == "status.podIP" && vars["HOST"] == "::":
			vars[v.Name] = "fd00::1"
		default:
			vars[v.Name] = "10.0.0.1"
		}
	}
	for name, value := range vars {
		if path, ok := strings.CutPrefix(value, mounted); ok {
			vars[name] = filepath.Join(root, path)
		}
	}
	return vars
}

// files writes what the chart mounts.
func files(r rendering, root string) {
	r.t.Helper()
	cert, key := certificate(r.t)
	content := map[string]string{
		"keys/keys": "0123456789abcdef\n", "tls/tls.crt": cert, "tls/tls.key": key, "redis/ca.crt": cert,
	}
	for _, m := range r.kind("ConfigMap") {
		if policy, ok := m.Data["policy.yaml"]; ok {
			content["policy/policy.yaml"] = policy
		}
	}
	for _, m := range r.kind("Secret") {
		if keys, ok := m.StringData["keys"]; ok {
			content["keys/keys"] = keys
		}
	}
	for name, text := range content {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o700); err != nil {
			r.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
}

func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, about, about, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}

func TestTheGatewayAcceptsEverySettingThatIsRendered(t *testing.T) {
	foreign := []string{"POD_IP", "POD_NAME", "NODE_NAME", "NODE_IP", "GODEBUG"}
	each(t, func(t *testing.T, name string, r rendering) {
		root := t.TempDir()
		files(r, root)
		vars := environment(r, root)
		var environ []string
		for name, value := range vars {
			if !slices.Contains(config.Names(), name) && !slices.Contains(foreign, name) {
				t.Errorf("%s is no setting of the gateway", name)
			}
			environ = append(environ, name+"="+value)
		}
		cfg, err := config.Load(environ, "test")
		if err != nil {
			t.Fatal(err)
		}
		if !cfg.Production() || cfg.Auth.LoopbackOnly() {
			t.Error("it is not meant for others")
		}
		pod := r.gateway().Template.Spec
		preStop := pod.Containers[0].Lifecycle.PreStop
		if preStop == nil {
			t.Fatal("there is no preStop hook")
		}
		stop := time.Duration(preStop.Sleep.Seconds)*time.Second + cfg.StopTime()
		if grace := time.Duration(pod.TerminationGracePeriodSeconds) * time.Second; grace < stop+time.Second {
			t.Errorf("a stop may take %v, and the grace period is %v", stop, grace)
		}
		if cfg.Gateway.DrainDelay < 5*time.Second {
			t.Errorf("DRAIN_DELAY is %v", cfg.Gateway.DrainDelay)
		}
		if name == "cluster" && !cfg.Redis.Enabled() {
			t.Error("there is no Redis")
		}
	})
}

var update = flag.Bool("update", false, "write the names of all settings into values.schema.json")

// TestTheSchemaKnowsEverySetting keeps `config` of the values complete, so that
// a misspelt name is refused before anything is installed.
func TestTheSchemaKnowsEverySetting(t *testing.T) {
	file := filepath.Join(chart, "values.schema.json")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, name := range slices.Sorted(slices.Values(config.Names())) {
		lines = append(lines, `        "`+name+`": {"type": ["string", "number", "boolean"]}`)
	}
	block := regexp.MustCompile(`(?s)("config": \{.*?"properties": \{\n).*?(\n      \})`)
	fresh := block.ReplaceAllString(string(raw), "${1}"+strings.Join(lines, ",\n")+"${2}")
	if !json.Valid([]byte(fresh)) {
		t.Fatal("that would be no JSON")
	}
	if fresh == string(raw) {
		return
	}
	if !*update {
		t.Fatal("values.schema.json does not list the settings that there are: go test ./test/helm -run TheSchemaKnows -update")
	}
	if err := os.WriteFile(file, []byte(fresh), 0o644); err != nil {
		t.Fatal(err)
	}
}

// listed reads a list that a helper of the chart defines.
func listed(t *testing.T, name string) []string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(chart, "templates/_helpers.tpl"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?s)define "` + name + `" -}}\s*\[(.*?)\]`).FindSubmatch(raw)
	if found == nil {
		t.Fatalf("there is no list %s", name)
	}
	return strings.FieldsFunc(string(found[1]), func(c rune) bool { return c == ',' || c == ' ' || c == '\n' })
}

func TestSecretsAndOwnSettingsAreKept(t *testing.T) {
	secrets, owned := listed(t, "ws-gateway.secretNames"), listed(t, "ws-gateway.owned")
	for _, name := range append(slices.Clone(secrets), owned...) {
		if !slices.Contains(config.Names(), name) {
			t.Errorf("%s is no setting of the gateway", name)
		}
	}
	for _, name := range config.Names() {
		cfg, _ := config.Load([]string{name + "=0123456789abcdef0123456789abcdef"}, "test") // faults of other kinds are no matter
		var shown strings.Builder
		if err := cfg.Write(&shown); err != nil {
			t.Fatal(err)
		}
		if masked := strings.Contains(shown.String(), "\n"+name+"=(secret)") || strings.HasPrefix(shown.String(), name+"=(secret)"); masked != slices.Contains(secrets, name) {
			t.Errorf("%s: a secret: %v", name, masked)
		}
	}
	// What the chart sets, `config` may not set.
	each(t, func(t *testing.T, _ string, r rendering) {
		own := append(slices.Clone(owned), "NODE_ENV", "LOG_FORMAT")
		values, err := os.ReadFile(filepath.Join(chart, "ci", strings.TrimPrefix(t.Name(), "TestSecretsAndOwnSettingsAreKept/")+"-values.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range r.kind("ConfigMap") {
			for name := range m.Data {
				if strings.ToUpper(name) == name && !slices.Contains(own, name) && !strings.Contains(string(values), name+":") {
					t.Errorf("%s is set by the chart, and could be set by `config` too", name)
				}
			}
		}
	})
}
