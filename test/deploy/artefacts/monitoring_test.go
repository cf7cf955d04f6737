package artefacts

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// rules is a file of Prometheus' rules.
type rules struct {
	Groups []struct {
		Name  string
		Rules []rule
	}
}

type rule struct {
	Record, Alert, Expr, For string
	Labels, Annotations      map[string]string
}

const alertsFile = "config/deploy/prometheus/alerts.yml"

func allRules(t *testing.T) []rule {
	t.Helper()
	var file rules
	readYAML(t, alertsFile, &file)
	var all []rule
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// known are the metrics of the gateway and those that the rules record.
func known(t *testing.T) exported {
	t.Helper()
	all := gatewayMetrics(t)
	for _, r := range allRules(t) {
		if r.Record != "" {
			all[r.Record] = nil
		}
	}
	return all
}

func TestAlertsAndDashboardNameMetricsThatThereAre(t *testing.T) {
	metrics := known(t)
	queries := 0
	look := func(where, expr string) {
		queries++
		for _, fault := range metrics.check(expr) {
			t.Errorf("%s: %s", where, fault)
		}
	}
	for _, r := range allRules(t) {
		look(r.Record+r.Alert, r.Expr)
	}
	d := dashboardOf(t)
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			look(p.Title, q.Expr)
		}
	}
	for _, a := range d.Annotations.List {
		look(a.Name, a.Expr)
	}
	t.Logf("%d queries of %d metrics", queries, len(metrics))
}

func TestEveryAlertSaysWhatItMeansAndStandsInTheREADME(t *testing.T) {
	readme := string(read(t, "README.md"))
	seen := map[string]bool{}
	for _, r := range allRules(t) {
		if r.Alert == "" {
			continue
		}
		if seen[r.Alert] {
			t.Errorf("there are two alerts %s", r.Alert)
		}
		seen[r.Alert] = true
		if s := r.Labels["severity"]; s != "page" && s != "ticket" {
			t.Errorf("%s has the severity %q", r.Alert, s)
		}
		for _, name := range []string{"summary", "description", "runbook_url"} {
			if r.Annotations[name] == "" {
				t.Errorf("%s has no %s", r.Alert, name)
			}
		}
		if _, err := time.ParseDuration(r.For); err != nil {
			t.Errorf("%s: %v", r.Alert, err)
		}
		if !strings.Contains(readme, "| `"+r.Alert+"` |") {
			t.Errorf("README.md has no line for %s in the table of alerts", r.Alert)
		}
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `(WSGateway[A-Za-z]+)` \\|").FindAllStringSubmatch(readme, -1) {
		if !seen[m[1]] {
			t.Errorf("README.md tells of %s, which is no alert", m[1])
		}
	}
}

// dashboard is what tests look at in Grafana's.
type dashboard struct {
	UID, Title  string
	Panels      []panel
	Templating  struct{ List []struct{ Name string } }
	Annotations struct {
		List []struct{ Name, Expr string }
	}
}

type panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ X, Y, W, H int }
	Targets                  []struct{ Expr string }
}

func dashboardOf(t *testing.T) dashboard {
	t.Helper()
	var d dashboard
	if err := json.Unmarshal(read(t, "config/deploy/grafana/dashboard.json"), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestTheDashboardIsWhole(t *testing.T) {
	d := dashboardOf(t)
	ids := map[int]bool{}
	var rows []string
	taken := map[string]string{}
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("two panels have the id %d", p.ID)
		}
		ids[p.ID] = true
		if g := p.GridPos; g.X < 0 || g.X+g.W > 24 || g.W < 1 || g.H < 1 {
			t.Errorf("%s stands outside of the page: %+v", p.Title, g)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				at := fmt.Sprint(x, " ", y)
				if other := taken[at]; other != "" {
					t.Fatalf("%s stands on %s", p.Title, other)
				}
				taken[at] = p.Title
			}
		}
		if p.Type == "row" {
			rows = append(rows, p.Title)
		} else if p.Title == "" || p.Description == "" || len(p.Targets) == 0 {
			t.Errorf("panel %d (%q) lacks a title, a description or a query", p.ID, p.Title)
		}
	}
	if want := []string{"Is it healthy?", "Who is slow?", "Where is the load?", "What changed?"}; !slices.Equal(rows, want) {
		t.Errorf("rows: %q", rows)
	}
	var names []string
	for _, v := range d.Templating.List {
		names = append(names, v.Name)
	}
	for _, m := range regexp.MustCompile(`\$\{?([a-z]+)\}?`).FindAllStringSubmatch(string(read(t, "config/deploy/grafana/dashboard.json")), -1) {
		if !slices.Contains(names, m[1]) {
			t.Errorf("there is no variable %s", m[0])
		}
	}
}
