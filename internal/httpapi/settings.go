package httpapi

import (
	"context"

	"github.com/moonx-farm/ws-gateway/internal/health"
	"github.com/moonx-farm/ws-gateway/internal/logging"
	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/reload"
)

// Setting is one variable of the environment as it is in effect. Its value
// holds no secret: who makes it masks them.
type Setting struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	Default string `json:"default"`
	Changed bool   `json:"changed"`        // the value is not the default
	Secret  bool   `json:"secret"`         // the value is masked, unless it is empty
	Mode    string `json:"mode,omitempty"` // the setting that has set this one
}

// Effective is what this instance was started with.
type Effective struct {
	Instance, Version string
	Settings          []Setting
	Notes             []string // what of it is for development, or likely not meant
}

// Running tells what this instance runs with now. Its parts must not be nil.
type Running struct {
	Effective Effective
	Policy    interface{ InForce() policy.InForce }
	Reloads   interface{ Stats() []reload.Stat }
	Health    interface {
		Look(ctx context.Context) health.Report
	}
}

// inForce is the policy in force.
type inForce struct {
	Source string `json:"source"`
	Since  int64  `json:"since"` // Unix milliseconds
	YAML   string `json:"yaml"`
}

// reloads is what became of the reloads of a source.
type reloads struct {
	Name    string `json:"name"`
	Loaded  int64  `json:"loaded"`
	Failed  int64  `json:"failed"`
	Failing bool   `json:"failing"`
}

// settings handles GET /settings.
func (a *API) settings(r *request) (any, error) {
	if err := r.query(nil); err != nil {
		return nil, err
	}
	run := a.parts.Running
	p := run.Policy.InForce()
	stats := run.Reloads.Stats()
	sources := make([]reloads, 0, len(stats))
	for _, s := range stats {
		sources = append(sources, reloads(s))
	}
	return struct {
		Instance string        `json:"instance"`
		Version  string        `json:"version"`
		Settings []Setting     `json:"settings"`
		Notes    []string      `json:"notes,omitempty"`
		Policy   inForce       `json:"policy"`
		Reloads  []reloads     `json:"reloads"`
		Health   health.Report `json:"health"`
	}{
		run.Effective.Instance, run.Effective.Version, run.Effective.Settings, run.Effective.Notes,
		inForce{p.Source, p.Since.UnixMilli(), logging.MaskURLs(p.Text)}, sources, run.Health.Look(r.Context()),
	}, nil
}
