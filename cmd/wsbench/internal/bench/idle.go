//go:build linux

package bench

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/engine"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/proc"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
)

// quiet is the app of connections that only listen.
type quiet struct{}

func (quiet) ready(*engine.Conn, uint64)          {}
func (quiet) message(*engine.Conn, []byte, int64) {}
func (quiet) closed(*engine.Conn, engine.Closure) {}
func (quiet) tick(int64) int64                    { return 0 }

// Idle connects, lets everything settle, and measures what idle connections
// cost; with CompareNaive also against the naive server.
func Idle(ctx context.Context, o *Options, res *report.Result) error {
	gateway := res.Run("gateway")
	if err := idleRun(ctx, o, res, gateway); err != nil || !o.CompareNaive {
		return err
	}
	child, addr, err := proc.Start(o.Self, "naive-server")
	if err != nil {
		return err
	}
	defer func() { _ = child.Stop() }()
	naive := *o
	naive.URL, naive.Metrics, naive.PID = "ws://"+addr+"/ws", "http://"+addr+"/metrics", child.PID()
	run := res.Run("naive")
	if err := idleRun(ctx, &naive, res, run); err != nil {
		return fmt.Errorf("naive server: %w", err)
	}
	for _, name := range []string{"RSS growth per connection", "live heap per connection", "server CPU"} {
		res.Ratio(name, gateway, run)
	}
	return nil
}

// memory is what a server holds at one moment.
type memory struct {
	rss  int64
	heap proc.Heap
}

func idleRun(ctx context.Context, o *Options, res *report.Result, run *report.Run) error {
	look, done, err := looker(ctx, o)
	if err != nil {
		return err
	}
	defer done()
	o.Progress.Target(run.Target)
	selfBefore := selfRSS()
	f, err := newFleet(o, roomOfIdle(o), func(*client) app { return quiet{} })
	if err != nil {
		return err
	}
	before, err := look()
	if err == nil {
		err = f.settle(ctx, res, run, before, look)
	}
	run.AddAs(report.Mean, "client RSS per connection", (selfRSS()-selfBefore)/float64(o.Conns), "B")
	if stop := f.stop(); err == nil {
		err = stop
	}
	return err
}

// settle is the measured part.
func (f *fleet) settle(ctx context.Context, res *report.Result, run *report.Run, before memory, look func() (memory, error)) error {
	begin, o := time.Now(), f.opts
	if err := f.connect(ctx); err != nil {
		return err
	}
	took := time.Since(begin).Seconds()
	run.Add("connections", float64(o.Conns), "")
	run.Add("connections/s while connecting", float64(o.Conns)/took, "")
	o.Progress.Phase("settle")
	connected, _ := proc.RSS(o.PID) // only shown with a pid
	a := f.sample(o.PID)
	interrupted := f.pause(ctx, o.Settle)
	b := f.sample(o.PID)
	s := between(a, b, o.Threads)
	s.add(run, o.PID)
	run.Add("pings answered", s.pings, "")
	run.Add("disconnects", float64(b.total.Ended), "")
	res.Check(b.total.Ended == 0, run.Target+": no disconnects", "%d ended%s", b.total.Ended, f.because(b.total.Ended))
	after, err := look()
	if err != nil {
		return err
	}
	n := float64(o.all())
	if o.PID > 0 {
		run.AddAs(report.First, "RSS before", float64(before.rss), "B")
		run.AddAs(report.Max, "RSS when connected", float64(connected), "B")
		run.AddAs(report.Max, "RSS settled", float64(after.rss), "B")
		run.AddAs(report.Max, "RSS growth per connection", float64(after.rss-before.rss)/n, "B")
	}
	if o.Metrics != "" {
		run.AddAs(report.First, "goroutines before", float64(before.heap.Goroutines), "")
		run.AddAs(report.Max, "goroutines after", float64(after.heap.Goroutines), "")
		run.Add("live heap per connection", float64(after.heap.Live-before.heap.Live)/n, "B")
		if !after.heap.Forced {
			res.Note("%s: /debug/pprof/heap?gc=1 was refused, the heap figure holds garbage (-admin-key?)", run.Target)
		}
	}
	return interrupted
}

func (f *fleet) because(n int64) string {
	if n == 0 {
		return ""
	}
	return ": " + f.whyEnded()
}

// looker returns a function that reads the server's memory.
func looker(ctx context.Context, o *Options) (look func() (memory, error), done func(), err error) {
	if o.PID > 0 && !proc.Alive(o.PID) {
		return nil, nil, fmt.Errorf("-pid %d: %w", o.PID, os.ErrProcessDone)
	}
	var admin *proc.Admin
	done = func() {}
	if o.Metrics != "" {
		if admin, err = proc.NewAdmin(o.Metrics, o.AdminKey); err != nil {
			return nil, nil, err
		}
		done = admin.Close
	}
	return func() (m memory, err error) {
		if o.PID > 0 {
			if m.rss, err = proc.RSS(o.PID); err != nil {
				return m, err
			}
		}
		if admin != nil {
			m.heap, err = admin.Heap(context.WithoutCancel(ctx))
		}
		return m, err
	}, done, nil
}

// roomOfIdle spreads the connections over -rooms rooms, or over as many as give
// each -room-size members.
func roomOfIdle(o *Options) func(int32) string {
	return func(i int32) string {
		switch {
		case o.RoomSize > 0:
			return fmt.Sprintf("%s%d", o.RoomPrefix, int(i)/o.RoomSize)
		default:
			return fmt.Sprintf("%s%d", o.RoomPrefix, int(i)%o.Rooms)
		}
	}
}
