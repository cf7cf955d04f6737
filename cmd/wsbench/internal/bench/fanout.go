//go:build linux

package bench

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/check"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/hdr"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
)

// fanout is one run of the fan-out scenario.
type fanout struct {
	opts       *Options
	fleet      *fleet
	apps       []*fanApp
	publishers []*publisher // by stream; complete before anything is dialled
	window     int
	ring       int         // messages remembered per room, a power of two
	server     *bareServer // it sends; nil: our publishers do

	mu  sync.Mutex
	err error // Guarded by mu: the first fault that ends the run.
}

// Fanout publishes into rooms and checks every delivery, as fast as
// back-pressure allows or at a rate; on demand again beside members that read
// nothing, and with the baseline also against a server that only writes.
func Fanout(ctx context.Context, o *Options, res *report.Result) error {
	if o.Memberships > 1 {
		return Mixed(ctx, o, res)
	}
	gateway := res.Run("gateway")
	err := fanoutRun(ctx, &fanout{opts: o}, res, gateway)
	if err == nil && o.Stalled > 0 {
		err = stalledRun(ctx, o, res, gateway)
	}
	if err != nil || o.Baseline == "" {
		return err
	}
	run, err := bareRun(ctx, o, res)
	if err != nil {
		return fmt.Errorf("baseline: %w", err)
	}
	res.Ratio("deliveries/s", gateway, run)
	res.Ratio("server CPU per message", gateway, run)
	return nil
}

func (f *fanout) roomName(n int) string { return fmt.Sprintf("%s%d", f.opts.RoomPrefix, n) }

func (f *fanout) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
}

func (f *fanout) failed() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// sent is how many messages a stream has been given.
func (f *fanout) sent(stream int) uint64 {
	if f.server != nil {
		return f.server.sent.Load()
	}
	return f.publishers[stream].sent.Load()
}

func (f *fanout) size() {
	f.window = f.opts.Window
	if f.window == 0 {
		f.window = 512
		if f.opts.Rate > 0 {
			f.window = 4096
		}
	}
	for f.ring = 1024; f.ring < 2*f.window*f.opts.Publishers; f.ring *= 2 {
	}
}

func fanoutRun(ctx context.Context, f *fanout, res *report.Result, run *report.Run) error {
	f.size()
	f.opts.Progress.Target(run.Target)
	f.publishers = make([]*publisher, f.opts.Rooms*f.opts.Publishers)
	var err error
	f.fleet, err = newFleet(f.opts, func(i int32) string { return f.roomName(int(i) % f.opts.Rooms) },
		func(cl *client) app {
			a := newFanApp(f, cl)
			f.apps = append(f.apps, a)
			return a
		})
	if err != nil {
		return err
	}
	s, err := f.measure(ctx)
	ended := f.fleet.group.Total().Ended
	if stop := f.fleet.stop(); err == nil {
		err = stop
	}
	if s.seconds > 0 {
		f.report(s, ended, res, run)
	}
	return err
}

// measure leads through the phases; without seconds it did not come to
// measuring.
func (f *fanout) measure(ctx context.Context) (s span, err error) {
	if err := f.fleet.connect(ctx); err != nil {
		return s, err
	}
	o := f.opts
	o.Progress.Phase("warm up")
	if err := f.begin(); err != nil {
		return s, err
	}
	if err := f.watch(ctx, o.Warmup); err != nil {
		return s, err
	}
	o.Progress.Phase("measure")
	f.fleet.each(func(cl *client) { cl.app.(*fanApp).meter.set(true) })
	a := f.fleet.sample(o.PID)
	err = f.watch(ctx, o.Duration)
	s = between(a, f.fleet.sample(o.PID), o.Threads)
	f.fleet.each(func(cl *client) { cl.app.(*fanApp).meter.set(false) })
	return s, firstOf(err, f.end()) //nolint:contextcheck // what is under way is awaited even when ctx has ended
}

func (f *fanout) begin() error {
	if f.server != nil {
		return f.server.begin()
	}
	f.fleet.each(func(cl *client) {
		for _, p := range cl.app.(*fanApp).pubs {
			p.start(f.fleet.clock.Now())
		}
	})
	return nil
}

// watch lets it run for d, unless something fails or nothing arrives any more.
func (f *fanout) watch(ctx context.Context, d time.Duration) error {
	return f.fleet.watch(ctx, d, f.failed)
}

// end stops publishing and waits, a few seconds, for what is still under way.
func (f *fanout) end() error {
	f.opts.Progress.Phase("finish")
	if f.server == nil {
		f.fleet.each(func(cl *client) {
			for _, p := range cl.app.(*fanApp).pubs {
				p.on = false
			}
		})
	} else if err := f.server.end(); err != nil {
		return err
	}
	return f.fleet.settleDown(f.complete)
}

// complete reports whether every member has received everything that was sent.
func (f *fanout) complete() bool {
	for n := range f.publishers {
		if f.received(n) < f.sent(n) {
			return false
		}
	}
	return true
}

// report writes down what the apps have counted; the loops have ended.
func (f *fanout) report(s span, ended int64, res *report.Result, run *report.Run) {
	var tally, offsets check.Tally
	var latency hdr.Histogram
	var gaps, foreign, published uint64
	noOffset := false
	for _, a := range f.apps {
		a.finish()
		tally.Add(a.tally)
		offsets.Add(a.offsets)
		latency.Merge(&a.meter.measured)
		gaps, foreign, noOffset = gaps+a.gaps, foreign+a.foreign, noOffset || a.noOffset
	}
	for n := range f.publishers {
		published += f.sent(n)
	}
	run.Add("members", float64(f.opts.Conns), "")
	run.Add("publications, whole run", float64(published), "")
	run.Add("deliveries/s", s.messages/s.seconds, "")
	run.Add("received/s", s.readBytes/s.seconds, "B")
	run.AddAs(report.Mean, "deliveries per read", s.messages/max(s.reads, 1), "")
	s.add(run, f.opts.PID)
	run.AddAs(report.Mean, "client CPU per message", 1e6*s.self/max(s.messages, 1), "µs")
	run.Add("lost", float64(tally.Lost), "")
	run.Add("duplicated", float64(tally.Duplicated), "")
	run.Add("out of order", float64(tally.Reordered), "")
	run.AddLatency("latency", &latency)
	res.Check(tally.Clean(), run.Target+": every message once and in order", "lost %d, duplicated %d, out of order %d",
		tally.Lost, tally.Duplicated, tally.Reordered)
	res.Check(offsets.Clean() && gaps == 0, run.Target+": offsets rise by one, no gap", "missing %d, repeated %d, out of order %d, gaps %d",
		offsets.Lost, offsets.Duplicated, offsets.Reordered, gaps)
	res.Check(ended == 0, run.Target+": no disconnects", "%d ended%s", ended, f.fleet.because(ended))
	res.Check(foreign == 0, run.Target+": nothing foreign received", "%d messages", foreign)
	if noOffset {
		res.Note("%s: publications carry no offset; order was checked by the publisher's sequence alone", run.Target)
	}
	s.saturation(res, run.Target, f.opts.Threads)
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
