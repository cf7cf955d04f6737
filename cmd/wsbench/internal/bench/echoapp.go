//go:build linux

package bench

import (
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/engine"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/gwproto"
)

// echoApp sends requests on its loop's connections. The id of a request is its
// intended time, counted from base, so that a reply tells its own latency.
type echoApp struct {
	cl    *client
	peers []peer // by slot
	mode  string
	on    bool
	pace  pacer
	base  int64
	buf   []byte

	latency, acks meter
	replies       int64 // since the last tick
	wrong         uint64
	refused       uint64
}

// peer is one connection's requests.
type peer struct {
	last uint64 // highest id
	ids  uint64 // exclusive or of the ids not answered: 0 when all were, each once
	open uint32
}

func newEchoApp(cl *client) *echoApp {
	return &echoApp{cl: cl, peers: make([]peer, len(cl.l.Conns())), mode: cl.f.opts.Mode}
}

func (a *echoApp) ready(*engine.Conn, uint64) {}

func (a *echoApp) start(now int64) {
	a.on, a.base = true, now-publishIDs
	if rate := a.cl.f.opts.Rate; rate > 0 {
		a.pace = newPacer(now, rate*float64(len(a.peers))/float64(a.cl.f.opts.Conns))
		return
	}
	conns := a.cl.l.Conns()
	for range a.cl.f.opts.Pipeline {
		for i := range conns {
			a.send(&conns[i], a.cl.f.clock.Now())
		}
	}
}

func (a *echoApp) measure(on bool) {
	a.latency.set(on)
	a.acks.set(on)
}

// openTotal is how many requests wait for a reply.
func (a *echoApp) openTotal() (n int64) {
	for i := range a.peers {
		n += int64(a.peers[i].open)
	}
	return n
}

// send sends a request that was meant for the given time.
func (a *echoApp) send(c *engine.Conn, intended int64) {
	if !c.IsOpen() {
		return
	}
	p := &a.peers[c.Slot]
	id := max(uint64(intended-a.base), p.last+1) //nolint:gosec // after base
	p.last, p.ids, p.open = id, p.ids^id, p.open+1
	o, d := a.cl.f.opts, a.cl.dialect
	switch a.mode {
	case EchoPublish:
		body := gwproto.Body{Seq: id, Sent: intended}
		a.buf = gwproto.AppendPublish(d, a.buf[:0], id, &gwproto.Publish{Room: a.cl.f.room(c.Index), Body: body, Size: o.Size})
	case EchoRoute:
		a.buf = gwproto.AppendAsk(d, a.buf[:0], o.Event, id, o.Size)
	default:
		a.buf = gwproto.AppendPing(d, a.buf[:0], id, o.Size)
	}
	a.cl.l.SendText(c, a.buf)
}

func (a *echoApp) message(c *engine.Conn, payload []byte, now int64) {
	var e gwproto.Envelope
	if !a.cl.dialect.Scan(payload, &e) {
		a.wrong++
		return
	}
	id, hasID := gwproto.Uint(e.ID)
	switch string(e.Event) {
	case "pong", a.cl.f.opts.Event:
		a.answered(c, id, now)
	case gwproto.Event:
		b, _ := gwproto.ScanBody(e.Data)
		a.answered(c, b.Seq, now)
	case "published":
		a.acks.record(now - a.base - int64(id)) //nolint:gosec // our own id
	case "error":
		a.refused++
		a.cl.f.fault(clip(e.Data))
		if hasID {
			a.answered(c, id, now)
		}
	}
}

func (a *echoApp) answered(c *engine.Conn, id uint64, now int64) {
	p := &a.peers[c.Slot]
	if id == 0 || id > p.last || p.open == 0 {
		a.wrong++
		return
	}
	p.ids ^= id
	p.open--
	a.replies++
	a.latency.record(now - a.base - int64(id)) //nolint:gosec // our own id
	if a.on && a.pace.every == 0 {
		a.send(c, now)
	}
}

func (a *echoApp) tick(now int64) (next int64) {
	if a.replies > 0 {
		a.cl.f.messages.Add(a.replies)
		a.replies = 0
	}
	a.latency.tick(now, a.cl.f)
	a.acks.flushIfDue(now)
	if !a.on || a.pace.every == 0 {
		return 0
	}
	conns := a.cl.l.Conns()
	for a.pace.next() <= now {
		a.send(&conns[a.pace.n%int64(len(conns))], a.pace.next())
		a.pace.n++
	}
	return a.pace.next()
}
