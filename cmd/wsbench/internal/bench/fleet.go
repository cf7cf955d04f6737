//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/engine"
)

// app is what a scenario does on one loop. Owned by the loop's goroutine.
type app interface {
	// ready follows the join; offset is the room's at that time.
	ready(c *engine.Conn, offset uint64)
	message(c *engine.Conn, payload []byte, now int64)
	closed(c *engine.Conn, why engine.Closure)
	tick(now int64) (next int64)
}

// fleet is a set of connections that are brought up alike.
type fleet struct {
	opts    *Options
	group   *engine.Group
	clients []*client
	clock   engine.Clock
	room    func(index int32) string // to join; "" for none

	up       atomic.Int64 // connections that are ready
	putOff   atomic.Int64 // ends after which connections come back
	messages atomic.Int64 // the scenario's own count, for progress
	window   window       // latencies since the last step
	server   *watcher     // nil: nobody looks at it
	last     sample       // of the last step; owned by the goroutine that leads
	broken   bool         // it did not come up; owned by the goroutine that leads

	mu     sync.Mutex
	causes map[string]int // Guarded by mu: why connections ended unasked
}

// newFleet starts loops for all connections of o; nothing is dialled yet.
func newFleet(o *Options, room func(int32) string, newApp func(cl *client) app) (*fleet, error) {
	targets, err := o.targets()
	if err != nil {
		return nil, err
	}
	f := &fleet{opts: o, clock: engine.NewClock(), room: room, causes: map[string]int{}}
	cfg := &engine.Config{
		Targets: targets, First: o.First, Begin: o.Share.Begin, Sources: o.sources(targets[0].Addr.Addr()), Conns: o.Conns, Threads: o.Threads,
		Ramp: o.Ramp, InFlight: o.InFlight, Clock: f.clock, Tick: o.Share.tick(), Gather: o.Share.gather(),
	}
	f.group, err = engine.New(cfg, func(int) engine.Handler {
		cl := &client{f: f, newApp: newApp}
		f.clients = append(f.clients, cl)
		return cl
	})
	if err != nil {
		return nil, err
	}
	f.last = f.sample(0)
	return f, nil
}

// connect dials and waits until every connection is ready.
func (f *fleet) connect(ctx context.Context) error {
	f.broken = true
	f.opts.Progress.Phase("connect")
	_, err := f.border(ctx, "connect")
	if err != nil {
		return err
	}
	if f.server, err = watchServer(ctx, f.opts); err != nil {
		return err
	}
	f.group.Dial()
	deadline := time.Now().Add(f.opts.UpTimeout)
	n := int64(f.opts.Conns)
	err = f.await(ctx, func() bool {
		return f.up.Load() >= n || f.gone() > 0 || time.Now().After(deadline)
	})
	if err != nil {
		return err
	}
	if f.up.Load() >= n && f.gone() == 0 {
		f.broken = false
		_, err = f.border(ctx, "connected")
		return err
	}
	return fmt.Errorf("%d of %d connections came up within %v: %s", f.up.Load(), n, f.opts.UpTimeout, f.whyEnded())
}

// gone is how many connections have failed or ended and do not come back. What
// comes back is counted before its end is.
func (f *fleet) gone() int64 {
	t := f.group.Total()
	return max(t.Failed+t.Ended-f.putOff.Load(), 0)
}

// await shows progress until done reports true or the context ends.
func (f *fleet) await(ctx context.Context, done func() bool) error {
	t := time.NewTicker(f.opts.Share.look())
	defer t.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-t.C:
			f.progress()
		}
	}
	return nil
}

// pause awaits a span of time.
func (f *fleet) pause(ctx context.Context, d time.Duration) error {
	end := time.Now().Add(d)
	f.opts.Progress.Lasts(d)
	return f.await(ctx, func() bool { return !time.Now().Before(end) })
}

// each runs fn on every loop and waits until all have.
func (f *fleet) each(fn func(cl *client)) {
	var wg sync.WaitGroup
	for _, cl := range f.clients {
		wg.Add(1)
		cl.l.Post(func() { defer wg.Done(); fn(cl) })
	}
	wg.Wait()
}

// stop closes everything politely within a few seconds, then cuts; not before
// the other workers have measured.
func (f *fleet) stop() error {
	f.leave()
	f.server.end()
	for _, cl := range f.clients {
		cl.l.Post(func() { cl.again.due = nil }) // nobody comes back any more
	}
	f.group.CloseAll(5 * time.Second)
	return f.group.Stop()
}

func (f *fleet) ended(why engine.Closure) {
	cause := fmt.Sprintf("closed by the server with %d %s", why.Code, why.Reason)
	if why.Err != nil {
		cause = why.Err.Error()
	}
	f.fault(cause)
}

// fault counts a reason for the report.
func (f *fleet) fault(cause string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.causes) < 100 || f.causes[cause] > 0 {
		f.causes[cause]++
	}
}

// whyEnded lists the causes, most frequent first.
func (f *fleet) whyEnded() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.causes) == 0 {
		return "no cause known"
	}
	keys := slices.SortedFunc(maps.Keys(f.causes), func(a, b string) int { return f.causes[b] - f.causes[a] })
	var parts []string
	for _, k := range keys[:min(len(keys), 5)] {
		parts = append(parts, fmt.Sprintf("%d × %s", f.causes[k], k))
	}
	return strings.Join(parts, "; ")
}

// ErrInterrupted is the cause of a context that the user ended: the run reports
// what it has.
var ErrInterrupted = errors.New("interrupted")
