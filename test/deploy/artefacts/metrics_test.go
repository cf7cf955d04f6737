package artefacts

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/config"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/internal/server"
	"github.com/moonx-farm/ws-gateway/modules"
)

// exported is what there is: metrics, and the values of their labels.
type exported map[string]map[string][]string

// gatewayMetrics are those of a gateway that has every part.
func gatewayMetrics(t *testing.T) exported {
	t.Helper()
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(policy, []byte("version: 1\nrooms:\n  - {match: \"**\", join: anyone, publish: member}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load([]string{
		"HOST=127.0.0.1", "PORT=0", "ADMIN_PORT=0", "DRAIN_WINDOW=0s", "ADMIN_API_KEYS=a key of this test's backend",
		"REDIS_URL=redis://" + redistest.Single(t).Addr(), "AUTH_SERVICE_URL=http://127.0.0.1:9", "POLICY_FILE=" + policy,
		"WEBHOOK_URL=http://127.0.0.1:9", "SIGNING_SECRETS=a secret of this test", "SOCKETIO_RECOVERY=1m",
	}, "test")
	if err != nil {
		t.Fatal(err)
	}
	var servers *server.Servers
	app := fxtest.New(t, modules.App(cfg, zap.NewNop(), nil), fx.Populate(&servers))
	app.RequireStart()
	defer app.RequireStop()
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(must(http.NewRequestWithContext(
		t.Context(), http.MethodGet, "http://"+servers.AdminAddr().String()+"/metrics", nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	all := exported{}
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		all.add(lines.Text())
	}
	return all
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// sample is a line of the text format.
var sample = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? \S+$`)

// pair is a label and its value, and in a query how they are compared.
var pair = regexp.MustCompile(`([a-zA-Z_]+)(=~|!~|!=|=)"([^"]*)"`)

func (e exported) add(line string) {
	m := sample.FindStringSubmatch(line)
	if m == nil {
		return
	}
	if e[m[1]] == nil {
		e[m[1]] = map[string][]string{}
	}
	for _, p := range pair.FindAllStringSubmatch(m[2], -1) {
		e[m[1]][p[1]] = append(e[m[1]][p[1]], p[3])
	}
}

// What is in an expression and names no metric.
var (
	grouping = regexp.MustCompile(`\b(by|on|without|ignoring)\s*\([^)]*\)`)
	window   = regexp.MustCompile(`\[[^\]]*\]`)
	selector = regexp.MustCompile(`\b([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(\{[^}]*\}|\()?`)
	operator = []string{"and", "or", "unless", "bool"}
	// scraped are labels that Prometheus adds.
	scraped = []string{"job", "instance"}
)

// check tells what in an expression is not exported.
func (e exported) check(expr string) []string {
	var faults []string
	expr = window.ReplaceAllString(grouping.ReplaceAllString(expr, " "), " ")
	for _, m := range selector.FindAllStringSubmatch(expr, -1) {
		name, rest := m[1], m[2]
		if rest == "(" || slices.Contains(operator, name) {
			continue
		}
		labels, there := e[name]
		if !there {
			faults = append(faults, "there is no metric "+name)
			continue
		}
		for _, p := range pair.FindAllStringSubmatch(rest, -1) {
			if !slices.Contains(scraped, p[1]) {
				faults = append(faults, missing(name, labels, p)...)
			}
		}
	}
	return faults
}

// missing tells which values of a label a metric has not.
func missing(name string, labels map[string][]string, p []string) []string {
	var faults []string
	for value := range strings.SplitSeq(p[3], "|") {
		if !slices.Contains(labels[p[1]], value) {
			faults = append(faults, fmt.Sprintf("%s has no %s=%q", name, p[1], value))
		}
	}
	return faults
}

func TestTheCheckerFindsWhatIsNotThere(t *testing.T) {
	e := exported{}
	e.add(`a_total{code="x",kind="k"} 0`)
	e.add(`a_total{code="y",kind="k"} 0`)
	e.add(`b 1.5`)
	for expr, want := range map[string]string{
		`sum by (job, code) (rate(a_total{code=~"x|y", job=~"$job"}[5m])) / 2e3 > 0 and on (job) b`: "",
		`rate(a_total[$__rate_interval])`:       "",
		`sum(c)`:                                "there is no metric c",
		`a_total{code="z"}`:                     `a_total has no code="z"`,
		`a_total{code=~"x|z"}`:                  `a_total has no code="z"`,
		`a_total{colour!="x"}`:                  `a_total has no colour="x"`,
		`histogram_quantile(0.9, b_bucket) > 1`: "there is no metric b_bucket",
	} {
		if got := strings.Join(e.check(expr), "; "); got != want {
			t.Errorf("%s: %q, want %q", expr, got, want)
		}
	}
}
