package metrics

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/moonx-farm/ws-gateway/internal/health"
	"github.com/moonx-farm/ws-gateway/internal/reload"
)

// Reloads registers what became of files that are read again.
func (r *Registry) Reloads(stats func() []reload.Stat) {
	var names []string
	for _, s := range stats() {
		names = append(names, s.Name)
	}
	c := &Collector{}
	c.counters("reloads_total", "Reloads that succeeded, by what was read.", "what", names...)
	c.counters("reloads_failed_total", "Reloads that failed and left what was in force, by what was read.", "what", names...)
	c.add(prometheus.GaugeValue, "reload_stale", "1 while what is in force is not what its files say.", "what", names)
	c.read = func(set func(float64)) {
		all := stats()
		for _, s := range all {
			set(float64(s.Loaded))
		}
		for _, s := range all {
			set(float64(s.Failed))
		}
		for _, s := range all {
			set(truth(s.Failing))
		}
	}
	r.reg.MustRegister(c)
}

// Health registers the checks of health. A scrape is a look at them.
func (r *Registry) Health(s *health.Service) {
	c := &Collector{}
	c.gauge("ready", "1 while no critical check fails.")
	c.add(prometheus.GaugeValue, "healthy", "1 while the check passes.", "check", s.Names())
	c.read = func(set func(float64)) {
		look := s.Look(context.Background())
		set(truth(look.Ready()))
		for _, check := range look.Checks {
			set(truth(check.Healthy))
		}
	}
	r.reg.MustRegister(c)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
