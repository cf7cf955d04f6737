//go:build linux

package million

import (
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/proc"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
)

// gauge watches the gateways for the time series. Owned by the goroutine that
// leads the workers, and read when that is done.
type gauge struct {
	s    *stack
	last time.Time
	cpu  time.Duration
	peak int64 // the most memory of all gateways together
}

func newGauge(s *stack) *gauge { return &gauge{s: s} }

// show adds memory and CPU time of all gateways to a point.
func (g *gauge) show(p *report.Point) {
	var rss int64
	var cpu time.Duration
	for _, m := range g.s.gateways {
		r, err := proc.Resident(m.PID())
		if err != nil {
			continue // it has ended, as in a drain
		}
		c, _ := proc.CPU(m.PID())
		rss, cpu = rss+r, cpu+c
	}
	now := time.Now()
	if !g.last.IsZero() && cpu > g.cpu {
		p.ServerCPU = 100 * (cpu - g.cpu).Seconds() / now.Sub(g.last).Seconds()
	}
	p.ServerRSS = rss
	g.last, g.cpu, g.peak = now, cpu, max(g.peak, rss)
}
