//go:build linux

package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/hdr"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/proc"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
	"golang.org/x/sys/unix"
)

// Drain holds connections while the server drains, and judges how they were
// let go.
func Drain(ctx context.Context, o *Options, res *report.Result) error {
	run := res.Run("gateway")
	d := &drain{rooms: make([]drainRoom, (o.Conns+o.RoomSize-1)/max(o.RoomSize, 1)+1)}
	f, err := newFleet(o, roomOfIdle(o), func(cl *client) app {
		a := newDrainApp(d, cl)
		d.apps = append(d.apps, a)
		return a
	})
	if err != nil {
		return err
	}
	d.f = f
	err = d.lead(ctx, run)
	if stop := f.stop(); err == nil {
		err = stop
	}
	if d.begin != 0 {
		d.report(res, run)
	}
	return err
}

// drain is one run. rooms is shared by loops: a room has one publisher, which
// alone writes to it; the rest is read once the loops have ended.
type drain struct {
	f     *fleet
	apps  []*drainApp
	rooms []drainRoom
	begin int64 // when the signal was sent, or the first reconnect was awaited from
}

// drainRoom is owned by the loop of its publisher.
type drainRoom struct{ sent, acked uint64 }

func (d *drain) lead(ctx context.Context, run *report.Run) error {
	f, o := d.f, d.f.opts
	if err := f.connect(ctx); err != nil {
		return err
	}
	if o.PublishRate > 0 {
		f.each(func(cl *client) { cl.app.(*drainApp).start(f.clock.Now()) })
	}
	o.Progress.Phase("hold")
	if err := f.pause(ctx, o.Settle); err != nil {
		return err
	}
	o.Progress.Phase("drain")
	return d.await(ctx, run)
}

// await sends the signal, if that is asked for, and waits for the connections
// to end, then for the server.
func (d *drain) await(ctx context.Context, run *report.Run) error {
	f, o := d.f, d.f.opts
	d.begin = f.clock.Now()
	if o.Sigterm {
		if err := unix.Kill(o.PID, unix.SIGTERM); err != nil {
			return fmt.Errorf("signal process %d: %w", o.PID, err)
		}
	}
	deadline := time.Now().Add(o.DrainWait)
	err := f.await(ctx, func() bool { return f.group.Total().Open == 0 || time.Now().After(deadline) })
	if err != nil || o.PID == 0 {
		return err
	}
	if err := f.await(ctx, func() bool { return !proc.Alive(o.PID) || time.Now().After(deadline) }); err != nil {
		return err
	}
	if !proc.Alive(o.PID) {
		run.AddAs(report.Max, "server exit after", float64(f.clock.Now()-d.begin)/1e9, "s")
	}
	return nil
}

// verdict is what became of all connections together.
type drainVerdict struct {
	ended, reconnect, restart, early int
	unseen, acked                    uint64
	times                            hdr.Histogram
	last                             int64
	tenths                           [10]int
}

func (d *drain) judge() *drainVerdict {
	v := &drainVerdict{}
	for _, a := range d.apps {
		for i := range a.peers {
			v.count(d, &a.peers[i])
		}
	}
	for _, a := range d.apps {
		for i := range a.peers {
			if at := a.peers[i].closedAt; at != 0 && v.last > 0 {
				v.tenths[min(max((at-d.begin)*10/(v.last+1), 0), 9)]++
			}
		}
	}
	for i := range d.rooms {
		v.acked += d.rooms[i].acked
	}
	return v
}

func (v *drainVerdict) count(d *drain, p *drainPeer) {
	if p.reconnect {
		v.reconnect++
	}
	// The server refuses publications before it closes anything, so what was
	// acknowledged in a room at all must precede each of its close frames.
	if acked := d.rooms[p.room].acked; p.seen < acked {
		v.unseen += acked - p.seen
	}
	if p.closedAt == 0 {
		return
	}
	v.ended++
	if p.code == 1012 {
		v.restart++
	}
	if p.closedAt < d.begin {
		v.early++
	}
	v.times.Record(p.closedAt - d.begin)
	v.last = max(v.last, p.closedAt-d.begin)
}

func (d *drain) report(res *report.Result, run *report.Run) {
	v, n := d.judge(), d.f.opts.Conns
	run.Add("connections", float64(n), "")
	run.Add("ended", float64(v.ended), "")
	run.Add("saw reconnect before the end", float64(v.reconnect), "")
	run.Add("closed with 1012", float64(v.restart), "")
	run.AddAs(report.Max, "last close after", float64(v.last)/1e9, "s")
	for i, c := range v.tenths {
		run.Add(fmt.Sprintf("closed in tenth %d of that time", i+1), float64(c), "")
	}
	run.AddLatency("time of close", &v.times)
	run.Add("publications acknowledged", float64(v.acked), "")
	run.Add("acknowledged but not seen before the close", float64(v.unseen), "")
	res.Check(v.ended == n && v.early == 0, "every connection ended during the drain", "%d of %d, %d before it%s", v.ended, n, v.early, d.f.because(int64(n-v.restart)))
	res.Check(v.reconnect == n, "every client got reconnect", "%d of %d", v.reconnect, n)
	res.Check(v.restart == n, "every client got 1012", "%d of %d", v.restart, n)
	res.Check(v.unseen == 0, "what was acknowledged precedes the close frame", "%d of %d not seen", v.unseen, v.acked)
	if pid := d.f.opts.PID; pid > 0 {
		res.Check(!proc.Alive(pid), "the server ended", "process %d (its exit code is its parent's to see)", pid)
	}
}
