//go:build linux

package bench

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/engine"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/gwproto"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/hdr"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
)

// The borders at which whoever leads the workers of Hold has something to do,
// before all may go on.
const (
	AtSettled   = "settled"   // the connections are up and quiet
	AtHeld      = "held"      // they were held
	AtBroadcast = "broadcast" // to publish to everyone, once at each such border
	AtSingle    = "single"    // to publish to single users; the number is of those here
	AtDrain     = "drain"     // to end the servers
)

// The events of what is published to connections that are held. Their data is
// an object with the number n, from 1, and the time at, in nanoseconds since
// 1970, at which it was published; ToOne has the user too, as to.
const (
	ToAll = "bench:all"
	ToOne = "bench:one"
)

// MaxBroadcasts is how many publications to everyone a connection can count.
const MaxBroadcasts = 100

// drainLimit is how long nobody may have been let go before a drain counts as
// stuck.
const drainLimit = 60 * time.Second

// hold is one run. Apart from the apps' counters the goroutine that leads owns
// it.
type hold struct {
	f       *fleet
	apps    []*holdApp
	ended   int64 // while the connections were only held
	told    int64 // publications to all
	drained bool  // it came to the drain
	single  int64 // how many messages to one user were to come
}

// Hold brings connections up, each in its user's room only, and holds them;
// counts what others publish to all and to one of them, and how the servers let
// go of them. Others are told by the borders when to do so.
func Hold(ctx context.Context, o *Options, res *report.Result) error {
	run := res.Run("gateway")
	h := &hold{}
	f, err := newFleet(o, func(int32) string { return "" }, func(cl *client) app {
		a := newHoldApp(h, cl)
		h.apps = append(h.apps, a)
		return a
	})
	if err != nil {
		return err
	}
	h.f = f
	if err = f.connect(ctx); err == nil {
		err = h.lead(ctx)
	}
	if stop := f.stop(); err == nil {
		err = stop
	}
	h.report(res, run)
	return err
}

func (h *hold) lead(ctx context.Context) error {
	for _, step := range []func(context.Context) error{h.keep, h.broadcasts, h.singles, h.drain} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// keep holds the connections.
func (h *hold) keep(ctx context.Context) error {
	for _, phase := range []struct {
		name, border string
		d            time.Duration
	}{{"settle", AtSettled, h.f.opts.Settle}, {"hold", AtHeld, h.f.opts.Duration}} {
		h.f.opts.Progress.Phase(phase.name)
		if err := h.f.pause(ctx, phase.d); err != nil {
			return err
		}
		h.ended = h.f.gone()
		if _, err := h.f.border(ctx, phase.border); err != nil {
			return err
		}
	}
	return nil
}

// broadcasts awaits each publication to all at every connection before the next.
func (h *hold) broadcasts(ctx context.Context) error {
	h.f.opts.Progress.Phase("broadcast")
	for n := 1; n <= h.f.opts.Broadcasts; n++ {
		if _, err := h.f.border(ctx, AtBroadcast); err != nil {
			return err
		}
		h.told = int64(n)
		want := h.told * int64(h.f.opts.Conns)
		if err := h.arrive(ctx, want, func(a *holdApp) int64 { return a.toAll.Load() }); err != nil {
			return err
		}
	}
	return nil
}

func (h *hold) singles(ctx context.Context) (err error) {
	h.f.opts.Progress.Phase("single users")
	if h.single, err = h.f.border(ctx, AtSingle); err != nil {
		return err
	}
	return h.arrive(ctx, h.single, func(a *holdApp) int64 { return a.toOne.Load() })
}

// arrive awaits so many messages, as long as some come.
func (h *hold) arrive(ctx context.Context, want int64, count func(a *holdApp) int64) error {
	sum := func() (n int64) {
		for _, a := range h.apps {
			n += count(a)
		}
		return n
	}
	return h.f.waitFor(ctx, h.f.opts.StallAfter, sum, func() bool { return sum() >= want })
}

// drain awaits the end of every connection.
func (h *hold) drain(ctx context.Context) error {
	h.f.opts.Progress.Phase("drain")
	h.f.each(func(cl *client) { cl.app.(*holdApp).draining = true })
	h.drained = true
	if _, err := h.f.border(ctx, AtDrain); err != nil {
		return err
	}
	open := func() int64 { return h.f.group.Total().Open }
	return h.f.waitFor(ctx, drainLimit, open, func() bool { return open() == 0 })
}

// report tells what was counted; the loops have ended.
func (h *hold) report(res *report.Result, run *report.Run) {
	o := h.f.opts
	var v holdApp
	for _, a := range h.apps {
		v.add(a)
	}
	all := h.told*int64(o.Conns) - v.toAll.Load()
	run.Add("connections", float64(o.Conns), "")
	run.Add("asked to come back later while connecting", float64(h.f.putOff.Load()), "")
	run.Add("pings answered", float64(h.f.group.Total().Pings), "")
	run.Add("lost while held", float64(h.ended), "")
	run.Add("lost of the broadcasts", float64(all), "")
	run.Add("messages to single users", float64(v.toOne.Load()), "")
	run.Add("lost of those", float64(h.single-v.toOne.Load()), "")
	for i, name := range []string{"broadcast until received", "to a single user until received"} {
		if v.latency[i].Count() > 0 {
			run.AddLatency(name, &v.latency[i])
		}
	}
	if d := o.Share.gather(); d > 0 {
		res.Note("more workers than cores: each gathers for %v what has come, and latencies are up to as much longer", d)
	}
	res.Check(h.ended == 0, "no connection was lost while held", "%d ended%s", h.ended, h.f.because(h.ended))
	res.Check(all == 0 && v.wrong == 0, "every broadcast came once to every connection", "%d missing, %d repeated or out of order", all, v.wrong)
	res.Check(h.single == v.toOne.Load() && v.foreign == 0, "single users got what was theirs, once", "%d of %d came, %d were another's or came again",
		v.toOne.Load(), h.single, v.foreign)
	if h.drained {
		run.Add("let go with 1012", float64(v.letGo), "")
		missing := int64(o.Conns) - h.ended - v.letGo
		res.Check(missing == 0, "the drain let every connection go with 1012", "%d ended otherwise or not at all%s", missing, h.f.because(missing))
	}
}

// holdApp counts what connections of one loop get. Owned by the loop.
type holdApp struct {
	h        *hold
	cl       *client
	got      []uint8 // the last broadcast, by slot
	draining bool
	toAll    atomic.Int64 // counted; read by the goroutine that leads
	toOne    atomic.Int64

	wrong   uint64              // broadcasts that came again, or after one that is missing
	foreign uint64              // messages to another user, or that came again
	seen    map[uint64]struct{} // messages to one user, by number
	letGo   int64
	latency [2]hdr.Histogram // of messages to all, and to one
}

func newHoldApp(h *hold, cl *client) *holdApp {
	return &holdApp{h: h, cl: cl, got: make([]uint8, len(cl.l.Conns())), seen: map[uint64]struct{}{}}
}

func (a *holdApp) ready(*engine.Conn, uint64) {}
func (a *holdApp) tick(int64) int64           { return 0 }

func (a *holdApp) message(c *engine.Conn, payload []byte, now int64) {
	var e gwproto.Envelope
	if !a.cl.dialect.Scan(payload, &e) {
		return
	}
	n, _ := gwproto.Uint(gwproto.Field(e.Data, "n"))
	at, _ := gwproto.Uint(gwproto.Field(e.Data, "at"))
	took := max(now-int64(at), 0) //nolint:gosec // a time
	switch string(e.Event) {
	case ToAll:
		if n != uint64(a.got[c.Slot])+1 {
			a.wrong++
			return
		}
		a.got[c.Slot]++
		a.toAll.Add(1)
		a.note(0, took)
	case ToOne:
		var id [64]byte
		_, again := a.seen[n]
		if again || string(gwproto.Unquote(gwproto.Field(e.Data, "to"))) != string(a.h.f.opts.user(id[:0], c.Index)) {
			a.foreign++
			return
		}
		a.seen[n] = struct{}{}
		a.toOne.Add(1)
		a.note(1, took)
	}
}

func (a *holdApp) note(which int, took int64) {
	a.latency[which].Record(took)
	a.h.f.messages.Add(1)
}

func (a *holdApp) closed(_ *engine.Conn, why engine.Closure) {
	if a.draining && why.Code == 1012 {
		a.letGo++
	}
}

// add adds up the loops' counts.
func (a *holdApp) add(b *holdApp) {
	a.toAll.Add(b.toAll.Load())
	a.toOne.Add(b.toOne.Load())
	a.wrong, a.foreign, a.letGo = a.wrong+b.wrong, a.foreign+b.foreign, a.letGo+b.letGo
	for i := range a.latency {
		a.latency[i].Merge(&b.latency[i])
	}
}
