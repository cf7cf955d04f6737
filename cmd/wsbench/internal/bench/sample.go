//go:build linux

package bench

import (
	"os"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/engine"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/proc"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
)

// sample is everything that is counted, at one moment.
type sample struct {
	at       time.Time
	total    engine.Total
	messages int64
	self     time.Duration
	server   time.Duration // CPU; 0 without a pid
}

func (f *fleet) sample(pid int) sample {
	s := sample{at: time.Now(), total: f.group.Total(), messages: f.messages.Load(), self: proc.SelfCPU()}
	if pid > 0 {
		s.server, _ = proc.CPU(pid)
	}
	return s
}

// span is what happened between two samples.
type span struct {
	seconds      float64
	messages     float64
	self, server float64 // seconds of CPU
	busy         float64 // share of the time that the busiest notion of the loops had work
	readBytes    float64
	reads        float64
	pings        float64
	ended        int64
}

func between(a, b sample, threads int) span {
	s := span{
		seconds: b.at.Sub(a.at).Seconds(), messages: float64(b.messages - a.messages),
		self: (b.self - a.self).Seconds(), server: (b.server - a.server).Seconds(),
		readBytes: float64(b.total.BytesRead - a.total.BytesRead), reads: float64(b.total.Reads - a.total.Reads),
		pings: float64(b.total.Pings - a.total.Pings), ended: b.total.Ended - a.total.Ended,
	}
	s.busy = float64(b.total.BusyNanos-a.total.BusyNanos) / 1e9 / s.seconds / float64(threads)
	return s
}

// add puts the figures that every scenario has into the run.
func (s span) add(r *report.Run, pid int) {
	r.AddAs(report.Max, "measured", s.seconds, "s")
	if pid > 0 {
		r.AddAs(report.Max, "server CPU", 100*s.server/s.seconds, "% of a core")
		if s.messages > 0 {
			r.AddAs(report.Max, "server CPU per message", 1e6*s.server/s.messages, "µs")
		}
	}
	r.Add("client CPU", 100*s.self/s.seconds, "% of a core")
	r.AddAs(report.Max, "client loops busy", 100*s.busy, "%")
}

// saturation says whether the client was at its limit.
func (s span) saturation(res *report.Result, target string, threads int) {
	if s.busy > 0.95 || s.self/s.seconds > 0.95*float64(threads) {
		res.Note("%s: the client was saturated (loops busy %.0f %%, %.0f %% of a core): the server may be able to do more; "+
			"give it -threads or cores", target, 100*s.busy, 100*s.self/s.seconds)
	}
}

func selfRSS() float64 {
	n, _ := proc.RSS(os.Getpid())
	return float64(n)
}
