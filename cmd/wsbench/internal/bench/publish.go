//go:build linux

package bench

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/check"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/hdr"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
)

// How a publisher asks.
const (
	Acked   = "acked"   // every publication with an id, which is answered
	Unacked = "unacked" // without: what is lost shows at the subscriber
	Both    = "both"    // one after the other
)

// Publish has many clients publish, each to subscribers of its own, and checks
// every acknowledgement and every delivery.
func Publish(ctx context.Context, o *Options, res *report.Result) error {
	if o.Acks != Unacked {
		if err := publishRun(ctx, &publish{opts: o, acked: true}, res, res.Run("acknowledged")); err != nil || o.Acks == Acked {
			return err
		}
	}
	return publishRun(ctx, &publish{opts: o}, res, res.Run("unacknowledged"))
}

// publish is one run.
type publish struct {
	opts       *Options
	acked      bool
	f          *fleet
	apps       []*publishApp
	publishers int

	sent, answered atomic.Int64 // in the whole run
}

// publishRoom is the room of a connection's group: the groups of a loop are
// made by slot, see publishApp.
func (o *Options) publishRoom(index int32) string {
	loop, slot := int(index)%o.Threads, int(index)/o.Threads
	return fmt.Sprintf("%s%d-%d", o.RoomPrefix, loop, slot/(1+o.Subscribers))
}

func publishRun(ctx context.Context, p *publish, res *report.Result, run *report.Run) error {
	o := p.opts
	o.Progress.Target(run.Target)
	room := func(index int32) string {
		if o.Outside && int(index)/o.Threads%(1+o.Subscribers) == 0 {
			return ""
		}
		return o.publishRoom(index)
	}
	var err error
	p.f, err = newFleet(o, room, func(cl *client) app {
		a := newPublishApp(p, cl)
		p.apps = append(p.apps, a)
		return a
	})
	if err != nil {
		return err
	}
	for _, a := range p.apps {
		p.publishers += len(a.groups)
	}
	s, err := p.measure(ctx)
	ended := p.f.group.Total().Ended
	if stop := p.f.stop(); err == nil {
		err = stop
	}
	if s.seconds > 0 {
		p.report(&s, ended, res, run)
	}
	return err
}

// publishSpan is what happened in the measured time.
type publishSpan struct {
	span
	sent, answered float64
}

func (p *publish) measure(ctx context.Context) (s publishSpan, err error) {
	f, o := p.f, p.opts
	if err := f.connect(ctx); err != nil {
		return s, err
	}
	o.Progress.Phase("warm up")
	f.each(func(cl *client) { cl.app.(*publishApp).start(f.clock.Now()) })
	if err := f.watch(ctx, o.Warmup, noFault); err != nil {
		return s, err
	}
	o.Progress.Phase("measure")
	f.each(func(cl *client) { cl.app.(*publishApp).measure(true) })
	sent, answered := p.sent.Load(), p.answered.Load()
	a := f.sample(o.PID)
	err = f.watch(ctx, o.Duration, noFault)
	s.span = between(a, f.sample(o.PID), o.Threads)
	s.sent, s.answered = float64(p.sent.Load()-sent), float64(p.answered.Load()-answered)
	o.Progress.Phase("finish")
	f.each(func(cl *client) {
		cl.app.(*publishApp).on = false
		cl.app.(*publishApp).measure(false)
	})
	return s, firstOf(err, f.settleDown(p.complete)) //nolint:contextcheck // what is under way is awaited even when ctx has ended
}

func (p *publish) complete() bool {
	var open atomic.Bool
	p.f.each(func(cl *client) {
		if !cl.app.(*publishApp).complete() {
			open.Store(true)
		}
	})
	return !open.Load()
}

// report writes down what the apps have counted; the loops have ended.
func (p *publish) report(s *publishSpan, ended int64, res *report.Result, run *report.Run) {
	var tally, offsets check.Tally
	var delivery, acks, late hdr.Histogram
	var gaps, foreign, wrong, refused uint64
	for _, a := range p.apps {
		a.finish()
		tally.Add(a.tally)
		offsets.Add(a.offsets)
		delivery.Merge(&a.delivery.measured)
		acks.Merge(&a.acks.measured)
		late.Merge(&a.late.measured)
		gaps, foreign, wrong, refused = gaps+a.gaps, foreign+a.foreign, wrong+a.wrong, refused+a.refused
	}
	run.Add("publishers", float64(p.publishers), "")
	run.Add("subscribers", float64(p.opts.Conns-p.publishers), "")
	run.Add("published/s", s.sent/s.seconds, "")
	if p.acked {
		run.Add("acknowledged/s", s.answered/s.seconds, "")
		run.AddLatency("acknowledgement", &acks)
	}
	run.Add("deliveries/s", s.messages/s.seconds, "")
	run.AddLatency("latency", &delivery)
	s.add(run, p.opts.PID)
	run.AddAs(report.Mean, "client CPU per message", 1e6*s.self/max(s.messages, 1), "µs")
	addTally(run, tally)
	t := run.Target
	res.Check(tally.Clean(), t+": every message once and in order", "lost %d, duplicated %d, out of order %d", tally.Lost, tally.Duplicated, tally.Reordered)
	res.Check(offsets.Clean() && gaps == 0, t+": offsets rise by one, no gap", "missing %d, repeated %d, out of order %d, gaps %d",
		offsets.Lost, offsets.Duplicated, offsets.Reordered, gaps)
	res.Check(refused == 0, t+": nothing refused", "%d refused%s", refused, p.f.because(int64(refused)))
	if p.acked {
		res.Check(wrong == 0, t+": every publication acknowledged once, in order", "%d missing or wrong", wrong)
	}
	res.Check(ended == 0, t+": no disconnects", "%d ended%s", ended, p.f.because(ended))
	res.Check(foreign == 0, t+": nothing foreign received", "%d messages", foreign)
	closedLoopNote(res, p.opts)
	lateness(run, res, &late, p.opts)
	s.saturation(res, t, p.opts.Threads)
}
