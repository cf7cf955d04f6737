//go:build linux

package bench

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/gwproto"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
)

// Mixed is a load of many things at once: connections in several rooms each,
// rooms that share members, publications into all of them, connections that
// come and go, and members that leave and join; every delivery is checked. Churn
// is Mixed with more coming and going.
func Mixed(ctx context.Context, o *Options, res *report.Result) error {
	return mixedRun(ctx, newMixed(o), res, res.Run("gateway"))
}

// Soak is Mixed for long, with a look at what the server holds as time goes by.
func Soak(ctx context.Context, o *Options, res *report.Result) error {
	m := newMixed(o)
	var done func()
	var err error
	if m.look, done, err = vitalsLooker(ctx, o); err != nil {
		return err
	}
	defer done()
	return mixedRun(ctx, m, res, res.Run("gateway"))
}

// mixed is one run. Rooms are shared by loops: each has one publisher, which
// alone writes to it.
type mixed struct {
	opts  *Options
	f     *fleet
	apps  []*mixedApp
	names []string // of the rooms
	rooms []mixedRoom

	begun    atomic.Bool  // publications may have been sent
	complete atomic.Int64 // connections that are in all their rooms
	owed     atomic.Int64 // deliveries under way, in a closed loop
	sent     atomic.Int64
	answered atomic.Int64

	look   func() (vitals, error) // nil: nobody looks
	looked []vitals               // owned by who leads
}

// mixedRoom is written by the loop of its publisher.
type mixedRoom struct {
	base atomic.Uint64 // offset before the first publication
	sent atomic.Uint64
}

func newMixed(o *Options) *mixed {
	m := &mixed{opts: o, rooms: make([]mixedRoom, o.Rooms)}
	for i := range m.rooms {
		m.names = append(m.names, fmt.Sprintf("%s%d", o.RoomPrefix, i))
	}
	return m
}

// room is the name of a connection's k-th room: connection i is in room i and
// those that follow, so that rooms next to each other share members.
func (m *mixed) room(index int32, k int) string { return m.names[(int(index)+k)%len(m.names)] }

// roomNumber is room the other way round.
func (m *mixed) roomNumber(name []byte) (n int, ok bool) {
	digits, ok := bytes.CutPrefix(name, []byte(m.opts.RoomPrefix))
	v, number := gwproto.Uint(digits)
	return int(v), ok && number && v < uint64(len(m.rooms)) //nolint:gosec // small
}

// members is how many connections a room has.
func (m *mixed) members(room int32) int {
	n, conns, rooms := 0, m.opts.Conns, len(m.rooms)
	for k := range m.opts.Memberships {
		first := (int(room) - k + rooms) % rooms
		n += (conns - first + rooms - 1) / rooms
	}
	return n
}

// sentTo is how many publications a connection's k-th room has been given.
func (m *mixed) sentTo(index int32, k int) uint64 {
	return m.rooms[(int(index)+k)%len(m.rooms)].sent.Load()
}

func mixedRun(ctx context.Context, m *mixed, res *report.Result, run *report.Run) error {
	o := m.opts
	o.Progress.Target(run.Target)
	rss := selfRSS()
	var err error
	m.f, err = newFleet(o, func(int32) string { return "" }, func(cl *client) app {
		a := newMixedApp(m, cl)
		m.apps = append(m.apps, a)
		return a
	})
	if err != nil {
		return err
	}
	s, err := m.measure(ctx)
	s.clientRSS = selfRSS() - rss
	m.f.each(func(cl *client) { cl.app.(*mixedApp).finish() })
	total := m.f.group.Total()
	if stop := m.f.stop(); err == nil {
		err = stop
	}
	if s.seconds > 0 {
		m.report(&s, &total, res, run)
	}
	return err
}

// mixedSpan is what happened in the measured time.
type mixedSpan struct {
	span
	sent, answered float64
	clientRSS      float64
}

func (m *mixed) measure(ctx context.Context) (s mixedSpan, err error) {
	f, o := m.f, m.opts
	if err := m.gather(ctx); err != nil {
		return s, err
	}
	m.begun.Store(true)
	o.Progress.Phase("warm up")
	f.each(func(cl *client) { cl.app.(*mixedApp).start(f.clock.Now()) })
	if err := f.watch(ctx, o.Warmup, noFault); err != nil {
		return s, err
	}
	o.Progress.Phase("measure")
	f.each(func(cl *client) { cl.app.(*mixedApp).measure(true) })
	sent, answered := m.sent.Load(), m.answered.Load()
	a := f.sample(o.PID)
	err = m.watch(ctx)
	s.span = between(a, f.sample(o.PID), o.Threads)
	s.sent, s.answered = float64(m.sent.Load()-sent), float64(m.answered.Load()-answered)
	o.Progress.Phase("finish")
	f.each(func(cl *client) {
		a := cl.app.(*mixedApp)
		a.on, a.moves.on = false, false
		a.measure(false)
	})
	return s, firstOf(err, f.settleDown(m.settled)) //nolint:contextcheck // what is under way is awaited even when ctx has ended
}

// gather brings all connections up and into all their rooms.
func (m *mixed) gather(ctx context.Context) error {
	f, n := m.f, int64(m.opts.Conns)
	if err := f.connect(ctx); err != nil {
		return err
	}
	m.opts.Progress.Phase("join")
	deadline := time.Now().Add(m.opts.UpTimeout)
	err := f.await(ctx, func() bool {
		return m.complete.Load() >= n || f.group.Total().Ended > 0 || time.Now().After(deadline)
	})
	if err != nil || m.complete.Load() >= n {
		return err
	}
	return fmt.Errorf("%d of %d connections joined all their rooms within %v: %s", m.complete.Load(), n, m.opts.UpTimeout, f.whyEnded())
}

// looks is how often a soak looks at the server.
const looks = 60

// watch lets the measured time pass.
func (m *mixed) watch(ctx context.Context) error {
	if m.look == nil {
		return m.f.watch(ctx, m.opts.Duration, noFault)
	}
	for range looks {
		if err := m.f.watch(ctx, m.opts.Duration/looks, noFault); err != nil {
			return err
		}
		if m.f.group.Total().Ended > 0 {
			return nil
		}
		v, err := m.look()
		if err != nil {
			return err
		}
		m.looked = append(m.looked, v)
	}
	return nil
}

func (m *mixed) settled() bool {
	var open atomic.Bool
	m.f.each(func(cl *client) {
		if !cl.app.(*mixedApp).settled() {
			open.Store(true)
		}
	})
	return !open.Load()
}
