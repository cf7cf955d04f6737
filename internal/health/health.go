package health

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Service answers requests for the process's health. Safe for concurrent use.
type Service struct {
	probes []*probe // immutable
	log    *zap.Logger
}

// New makes a service of the checks, which it shows by name.
func New(checks []Check, log *zap.Logger) *Service {
	s := &Service{log: log}
	for _, c := range checks {
		s.probes = append(s.probes, &probe{Check: c})
	}
	slices.SortStableFunc(s.probes, func(a, b *probe) int { return cmp.Compare(a.Name, b.Name) })
	return s
}

// Names lists the checks, in the order of Report.Checks.
func (s *Service) Names() []string {
	names := make([]string, 0, len(s.probes))
	for _, p := range s.probes {
		names = append(names, p.Name)
	}
	return names
}

// timeout bounds one look at health.
const timeout = 2 * time.Second

// The words of an answer.
const (
	statusOK          = "ok"
	statusDegraded    = "degraded"
	statusUnavailable = "unavailable"
)

// Report is one look at health.
type Report struct {
	// Status is ok, degraded (a check fails that is not critical) or
	// unavailable.
	Status string   `json:"status"`
	Checks []Result `json:"checks,omitempty"`
}

// Ready reports whether no critical check fails.
func (r Report) Ready() bool { return r.Status != statusUnavailable }

// Look runs all checks at once, within 2 seconds. Who asked may have gone
// meanwhile: that is no fault of what is checked.
func (s *Service) Look(ctx context.Context) Report {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	r := Report{Status: statusOK, Checks: make([]Result, len(s.probes))}
	var running sync.WaitGroup
	for i, p := range s.probes {
		running.Go(func() {
			var changed bool
			if r.Checks[i], changed = p.run(ctx); changed {
				s.say(r.Checks[i])
			}
		})
	}
	running.Wait()
	for _, c := range r.Checks {
		switch {
		case c.Healthy:
		case c.Critical:
			r.Status = statusUnavailable
		case r.Status == statusOK:
			r.Status = statusDegraded
		}
	}
	return r
}

// say puts a change into the log.
func (s *Service) say(c Result) {
	if c.Healthy {
		s.log.Info("healthy again", zap.String("check", c.Name))
		return
	}
	s.log.Warn("unhealthy", zap.String("check", c.Name), zap.Bool("critical", c.Critical), zap.Error(c.err))
}

// ServeLive answers 200 for as long as the process can.
func (s *Service) ServeLive(w http.ResponseWriter, _ *http.Request) {
	answer(w, Report{Status: statusOK})
}

// ServeReady answers 200, or 503 while a critical check fails, and lists the
// checks.
func (s *Service) ServeReady(w http.ResponseWriter, r *http.Request) { answer(w, s.Look(r.Context())) }

func answer(w http.ResponseWriter, r Report) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !r.Ready() {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(r) // the client may have gone
}
