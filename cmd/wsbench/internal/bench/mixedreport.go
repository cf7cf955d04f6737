//go:build linux

package bench

import (
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/check"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/engine"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/hdr"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
)

// mixedVerdict is what the apps have counted together.
type mixedVerdict struct {
	tally                                    check.Tally
	delivery, acks, late, come, join         hdr.Histogram
	gaps, foreign, wrong, refused, displaced uint64
	went, hopped, missed                     int64
}

func (v *mixedVerdict) add(a *mixedApp) {
	v.tally.Add(a.tally)
	v.delivery.Merge(&a.delivery.measured)
	v.acks.Merge(&a.acks.measured)
	v.late.Merge(&a.late.measured)
	v.come.Merge(&a.come.measured)
	v.join.Merge(&a.join.measured)
	v.gaps, v.foreign, v.wrong = v.gaps+a.gaps, v.foreign+a.foreign, v.wrong+a.wrong
	v.refused, v.displaced = v.refused+a.refused, v.displaced+a.displaced
	v.went, v.hopped, v.missed = v.went+a.moves.went, v.hopped+a.moves.hopped, v.missed+a.moves.missed
}

// report writes down what the apps have counted; the loops have ended.
func (m *mixed) report(s *mixedSpan, total *engine.Total, res *report.Result, run *report.Run) {
	var v mixedVerdict
	for _, a := range m.apps {
		v.add(a)
	}
	o := m.opts
	run.Add("connections", float64(o.Conns), "")
	run.Add("rooms", float64(len(m.rooms)), "")
	run.AddAs(report.Mean, "members of a room", float64(o.Conns*o.Memberships)/float64(len(m.rooms)), "")
	run.Add("published/s", s.sent/s.seconds, "")
	run.Add("acknowledged/s", s.answered/s.seconds, "")
	run.Add("deliveries/s", s.messages/s.seconds, "")
	run.Add("received/s", s.readBytes/s.seconds, "B")
	s.add(run, o.PID)
	run.AddAs(report.Mean, "client CPU per message", 1e6*s.self/max(s.messages, 1), "µs")
	run.AddAs(report.Mean, "client RSS per connection", s.clientRSS/float64(o.Conns), "B")
	addTally(run, v.tally)
	run.AddLatency("latency", &v.delivery)
	run.AddLatency("acknowledgement", &v.acks)
	m.movement(&v, run)
	m.check(&v, total, res, run.Target)
	closedLoopNote(res, o)
	lateness(run, res, &v.late, o)
	m.leaks(res, run)
	s.saturation(res, run.Target, o.Threads)
}

// movement tells of connections that came and went; without any, nothing.
func (m *mixed) movement(v *mixedVerdict, run *report.Run) {
	if v.went > 0 {
		run.Add("connections that went and came back", float64(v.went), "")
		run.AddLatency("time to come back", &v.come)
	}
	if v.hopped > 0 {
		run.Add("rooms left and joined again", float64(v.hopped), "")
		run.AddLatency("time to join", &v.join)
	}
	if v.went+v.hopped > 0 {
		run.Add("still under way when it was their turn again", float64(v.missed), "")
	}
}

func (m *mixed) check(v *mixedVerdict, total *engine.Total, res *report.Result, target string) {
	res.Check(v.tally.Clean(), target+": every message once and in order", "lost %d, duplicated %d, out of order %d",
		v.tally.Lost, v.tally.Duplicated, v.tally.Reordered)
	res.Check(v.displaced == 0 && v.gaps == 0, target+": offsets rise by one, no gap", "%d wrong, gaps %d", v.displaced, v.gaps)
	res.Check(v.wrong == 0, target+": every publication acknowledged once, in order", "%d missing or wrong", v.wrong)
	res.Check(v.refused == 0, target+": nothing refused", "%d refused%s", v.refused, m.f.because(int64(v.refused))) //nolint:gosec // small
	res.Check(total.Ended+total.Failed == 0, target+": no disconnects, and all that went came back", "%d ended, %d did not open%s",
		total.Ended, total.Failed, m.f.because(total.Ended+total.Failed))
	res.Check(v.foreign == 0, target+": nothing foreign received", "%d messages", v.foreign)
}
