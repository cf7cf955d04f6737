//go:build linux

package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/engine"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/frame"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/gwproto"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
)

// Slow has every connection send one valid message in small pieces, all at the
// same time, and wants every one answered.
func Slow(ctx context.Context, o *Options, res *report.Result) error {
	run := res.Run("gateway")
	var apps []*slowApp
	f, err := newFleet(o, func(int32) string { return "" }, func(cl *client) app {
		a := &slowApp{cl: cl, peers: make([]slowPeer, len(cl.l.Conns()))}
		apps = append(apps, a)
		return a
	})
	if err != nil {
		return err
	}
	s, err := slowMeasure(ctx, f)
	ended := f.group.Total().Ended
	if stop := f.stop(); err == nil {
		err = stop
	}
	if s.seconds == 0 {
		return err
	}
	var answered, wrong int
	for _, a := range apps {
		wrong += a.wrong
		for i := range a.peers {
			if a.peers[i].answers == 1 {
				answered++
			}
		}
	}
	run.Add("connections", float64(o.Conns), "")
	run.AddAs(report.Max, "pieces per message", float64(o.Chunks), "")
	run.Add("answered once", float64(answered), "")
	s.add(run, o.PID)
	res.Check(answered == o.Conns && wrong == 0, "every message answered, with its id", "%d of %d, %d wrong", answered, o.Conns, wrong)
	res.Check(ended == 0, "no disconnects", "%d ended%s", ended, f.because(ended))
	return err
}

func slowMeasure(ctx context.Context, f *fleet) (s span, err error) {
	if err := f.connect(ctx); err != nil {
		return s, err
	}
	f.opts.Progress.Phase("send slowly")
	a := f.sample(f.opts.PID)
	f.each(func(cl *client) { cl.app.(*slowApp).start(f.clock.Now()) })
	deadline := time.Now().Add(f.opts.Duration + 20*time.Second)
	err = f.await(ctx, func() bool {
		return f.messages.Load() >= int64(f.opts.Conns) || f.group.Total().Ended > 0 || time.Now().After(deadline)
	})
	return between(a, f.sample(f.opts.PID), f.opts.Threads), err
}

// slowApp sends the k-th piece of every message before the k+1-th of any.
type slowApp struct {
	cl    *client
	peers []slowPeer // by slot
	pace  pacer
	wrong int
	buf   []byte
	text  []byte
}

// slowPeer is one connection. Its message is encoded anew for every piece,
// with the same mask, instead of being kept.
type slowPeer struct {
	mask    uint32
	answers uint8
}

func (a *slowApp) ready(*engine.Conn, uint64)          {}
func (a *slowApp) closed(*engine.Conn, engine.Closure) {}

func (a *slowApp) start(now int64) {
	for i := range a.peers {
		a.peers[i].mask = a.cl.l.Mask()
	}
	total := float64(len(a.peers) * a.cl.f.opts.Chunks)
	a.pace = newPacer(now, total/max(a.cl.f.opts.Duration.Seconds(), 0.001))
}

func (a *slowApp) tick(now int64) int64 {
	if a.pace.every == 0 || len(a.peers) == 0 {
		return 0
	}
	n, conns := int64(len(a.peers)), a.cl.l.Conns()
	for ; a.pace.n < n*int64(a.cl.f.opts.Chunks) && a.pace.next() <= now; a.pace.n++ {
		a.piece(&conns[a.pace.n%n], int(a.pace.n/n))
	}
	if a.pace.n == n*int64(a.cl.f.opts.Chunks) {
		return 0
	}
	return a.pace.next()
}

func (a *slowApp) piece(c *engine.Conn, k int) {
	o := a.cl.f.opts
	a.text = gwproto.AppendPing(a.cl.dialect, a.text[:0], slowID(c), o.Size)
	a.buf = frame.AppendMasked(a.buf[:0], frame.Text, a.text, a.peers[c.Slot].mask)
	from, to := len(a.buf)*k/o.Chunks, len(a.buf)*(k+1)/o.Chunks
	if from < to {
		a.cl.l.Write(c, a.buf[from:to])
	}
}

func slowID(c *engine.Conn) uint64 { return publishIDs + uint64(c.Index) } //nolint:gosec // not negative

func (a *slowApp) message(c *engine.Conn, payload []byte, _ int64) {
	var e gwproto.Envelope
	if !a.cl.dialect.Scan(payload, &e) {
		a.wrong++
		return
	}
	switch string(e.Event) {
	case "pong":
		if id, ok := gwproto.Uint(e.ID); !ok || id != slowID(c) {
			a.wrong++
			return
		}
		a.peers[c.Slot].answers++
		a.cl.f.messages.Add(1)
	case "error":
		a.wrong++
		a.cl.f.fault(fmt.Sprintf("error: %s", clip(e.Data)))
	}
}
