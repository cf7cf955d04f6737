//go:build linux

package million

import (
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
)

// report adds what was seen of the servers to the figures of the workers.
func (l *leader) report(res *report.Result) {
	if len(res.Runs) == 0 {
		return
	}
	run, c := res.Runs[0], l.s.cfg
	run.Add("gateways", float64(len(l.s.gateways)), "")
	run.Add("workers", float64(len(l.shares)), "")
	if l.ramp > 0 {
		run.Add("ramp", l.ramp.Seconds(), "s")
		run.Add("connections/s while connecting", float64(c.Connections)/l.ramp.Seconds(), "")
	}
	if l.settled.gatewaysKnown {
		l.memory(run)
	}
	if l.held.gatewaysKnown {
		idle := l.held.at.Sub(l.settled.at)
		run.Add("RSS of all gateways at the end of the hold", float64(l.held.gateways.rss), "B")
		run.Add("CPU of all gateways while held", percent(l.held.gateways.cpu-l.settled.gateways.cpu, idle), "% of a core")
		run.Add("CPU of redis while held", percent(l.held.redis.cpu-l.settled.redis.cpu, idle), "% of a core")
	}
	run.Add("peak RSS of all gateways", float64(l.meter.peak), "B")
	for _, latency := range run.Latencies {
		if latency.Name == "broadcast until received" && latency.Count > 0 {
			run.Add("a broadcast reached everyone within", latency.Max.Seconds(), "s")
		}
	}
	if l.drained > 0 {
		run.Add("drain", l.drained.Seconds(), "s")
	}
}

// memory tells what the connections took, in the processes and in the kernel.
func (l *leader) memory(run *report.Run) {
	n := float64(l.s.cfg.Connections)
	set := l.settled
	run.Add("RSS of all gateways before", float64(l.empty.gateways.rss), "B")
	run.Add("RSS of all gateways", float64(set.gateways.rss), "B")
	run.Add("memory of all gateways, what they share counted once", float64(set.gateways.pss), "B")
	run.Add("RSS of the largest gateway", float64(set.largest), "B")
	run.Add("RSS of gateways per connection", float64(set.gateways.rss)/n, "B")
	run.Add("RSS growth per connection", float64(set.gateways.rss-l.empty.gateways.rss)/n, "B")
	run.Add("RSS of redis", float64(set.redis.rss), "B")
	k := set.kernel.minus(l.empty.kernel)
	run.Add("kernel memory per socket", float64(k.slab+k.buffers)/n/2, "B")
	run.Add("kernel memory, both ends of all connections", float64(k.slab+k.buffers+k.tables), "B")
	all := set.kernel.minus(l.nothing)
	run.Add("kernel memory, with what it has for the processes", float64(all.slab+all.buffers+all.tables), "B")
	run.Add("CPU of all gateways per connection while connecting", 1e6*(set.gateways.cpu-l.empty.gateways.cpu).Seconds()/n, "µs")
	run.Add("CPU of redis per connection while connecting", 1e6*(set.redis.cpu-l.empty.redis.cpu).Seconds()/n, "µs")
}

func percent(cpu, of time.Duration) float64 {
	if of <= 0 {
		return 0
	}
	return 100 * cpu.Seconds() / of.Seconds()
}
