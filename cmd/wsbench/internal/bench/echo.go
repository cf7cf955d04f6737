//go:build linux

package bench

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/engine"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/hdr"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
)

// What a request of Echo is.
const (
	EchoPing    = "ping"    // the gateway answers by itself
	EchoPublish = "publish" // into a room of one's own, until the own copy has come
	EchoRoute   = "route"   // an event that the policy hands to a service
)

// Echo measures request and reply.
func Echo(ctx context.Context, o *Options, res *report.Result) error {
	run := res.Run("gateway")
	var apps []*echoApp
	room := func(i int32) string {
		if o.Mode != EchoPublish {
			return ""
		}
		return fmt.Sprintf("%secho-%d", o.RoomPrefix, i)
	}
	f, err := newFleet(o, room, func(cl *client) app {
		a := newEchoApp(cl)
		apps = append(apps, a)
		return a
	})
	if err != nil {
		return err
	}
	s, err := echoMeasure(ctx, f)
	ended := f.group.Total().Ended
	if stop := f.stop(); err == nil {
		err = stop
	}
	if s.seconds > 0 {
		echoReport(f, s, ended, apps, res, run)
	}
	return err
}

func echoMeasure(ctx context.Context, f *fleet) (s span, err error) {
	if err := f.connect(ctx); err != nil {
		return s, err
	}
	o := f.opts
	o.Progress.Phase("warm up")
	f.each(func(cl *client) { cl.app.(*echoApp).start(f.clock.Now()) })
	if err := f.pause(ctx, o.Warmup); err != nil {
		return s, err
	}
	o.Progress.Phase("measure")
	f.each(func(cl *client) { cl.app.(*echoApp).measure(true) })
	a := f.sample(o.PID)
	err = f.pause(ctx, o.Duration)
	s = between(a, f.sample(o.PID), o.Threads)
	o.Progress.Phase("finish")
	// With -rate, replies that come late still count: leaving them out would
	// hide the slowest.
	f.each(func(cl *client) { cl.app.(*echoApp).on = false })
	deadline := time.Now().Add(5 * time.Second)
	for open := true; open && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		var sum atomic.Int64
		f.each(func(cl *client) { sum.Add(cl.app.(*echoApp).openTotal()) })
		open = sum.Load() > 0
	}
	f.each(func(cl *client) { cl.app.(*echoApp).measure(false) })
	return s, err
}

func echoReport(f *fleet, s span, ended int64, apps []*echoApp, res *report.Result, run *report.Run) {
	var latency, acks hdr.Histogram
	var unanswered, wrong, refused uint64
	for _, a := range apps {
		latency.Merge(&a.latency.measured)
		acks.Merge(&a.acks.measured)
		wrong, refused = wrong+a.wrong, refused+a.refused
		for i := range a.peers {
			unanswered += uint64(a.peers[i].open)
			if a.peers[i].open == 0 && a.peers[i].ids != 0 {
				wrong++
			}
		}
	}
	run.Add("connections", float64(f.opts.Conns), "")
	run.Add("replies/s", s.messages/s.seconds, "")
	s.add(run, f.opts.PID)
	run.Add("unanswered", float64(unanswered), "")
	run.Add("refused", float64(refused), "")
	run.AddLatency("latency", &latency)
	if acks.Count() > 0 {
		run.AddLatency("latency of published", &acks)
	}
	res.Check(unanswered == 0 && wrong == 0, "every request answered once, with its id", "%d unanswered, %d wrong", unanswered, wrong)
	res.Check(refused == 0, "no request refused", "%d refused%s", refused, f.because(int64(refused)))
	res.Check(ended == 0, "no disconnects", "%d ended%s", ended, f.because(ended))
	if f.opts.Rate == 0 {
		res.Note("closed loop: a slow server slows its clients down, so the latency flatters it; -rate measures from intended times")
	}
	s.saturation(res, run.Target, f.opts.Threads)
}

var _ app = (*echoApp)(nil)

// closed leaves what is open unanswered.
func (a *echoApp) closed(*engine.Conn, engine.Closure) {}
