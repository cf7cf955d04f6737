//go:build linux

package bench

import (
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/engine"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/gwproto"
)

// drainApp records how each connection of its loop was let go, and publishes
// into the rooms whose first member is on its loop.
type drainApp struct {
	d     *drain
	cl    *client
	peers []drainPeer // by slot
	pubs  []int32     // slots of publishers
	pace  pacer
	on    bool
	buf   []byte
}

// drainPeer is one connection.
type drainPeer struct {
	room      int32
	code      uint16
	reconnect bool
	closedAt  int64
	seen      uint64 // last publication received, without a hole before it
}

func newDrainApp(d *drain, cl *client) *drainApp {
	a := &drainApp{d: d, cl: cl, peers: make([]drainPeer, len(cl.l.Conns()))}
	size := int32(max(cl.f.opts.RoomSize, 1)) //nolint:gosec // small
	for i, c := range cl.l.Conns() {
		a.peers[i].room = 0
		if cl.f.opts.RoomSize > 0 {
			a.peers[i].room = c.Index / size
		}
		if c.Index == 0 || cl.f.opts.RoomSize > 0 && c.Index%size == 0 {
			a.pubs = append(a.pubs, c.Slot)
		}
	}
	return a
}

func (a *drainApp) ready(*engine.Conn, uint64) {}

func (a *drainApp) start(now int64) {
	if len(a.pubs) > 0 {
		a.on = true
		a.pace = newPacer(now, a.cl.f.opts.PublishRate/float64(a.cl.f.opts.Threads))
	}
}

func (a *drainApp) tick(now int64) int64 {
	if !a.on {
		return 0
	}
	conns := a.cl.l.Conns()
	for ; a.pace.next() <= now; a.pace.n++ {
		a.publish(&conns[a.pubs[a.pace.n%int64(len(a.pubs))]], a.pace.next())
	}
	return a.pace.next()
}

func (a *drainApp) publish(c *engine.Conn, intended int64) {
	if !c.IsOpen() {
		return
	}
	r := &a.d.rooms[a.peers[c.Slot].room]
	r.sent++
	body := gwproto.Body{Seq: r.sent, Sent: intended}
	p := gwproto.Publish{Room: a.cl.f.room(c.Index), Body: body, Size: a.cl.f.opts.Size}
	a.buf = gwproto.AppendPublish(a.cl.dialect, a.buf[:0], publishIDs+r.sent, &p)
	a.cl.l.SendText(c, a.buf)
}

func (a *drainApp) message(c *engine.Conn, payload []byte, _ int64) {
	var e gwproto.Envelope
	if !a.cl.dialect.Scan(payload, &e) {
		return
	}
	p := &a.peers[c.Slot]
	switch string(e.Event) {
	case gwproto.Event:
		if b, ok := gwproto.ScanBody(e.Data); ok && b.Seq == p.seen+1 {
			p.seen = b.Seq
			a.cl.f.messages.Add(1)
		}
	case "published":
		id, _ := gwproto.Uint(e.ID)
		a.d.rooms[p.room].acked = max(a.d.rooms[p.room].acked, id-publishIDs)
	case "error":
		a.on = false // the drain has begun: the server refuses
	case "reconnect":
		p.reconnect = true
	}
}

func (a *drainApp) closed(c *engine.Conn, why engine.Closure) {
	if why.Opened && !why.Ours {
		p := &a.peers[c.Slot]
		p.closedAt, p.code = a.cl.l.Now(), why.Code
	}
}
