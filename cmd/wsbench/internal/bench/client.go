//go:build linux

package bench

import (
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/engine"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/gwproto"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/sioproto"
)

// phase is how far a connection has come up.
type phase uint8

const (
	greeting phase = iota // waits for connected
	joining               // waits for the reply to its join
	ready
)

// resumer is an app whose connections come back. Owned by the loop's goroutine.
type resumer interface {
	since(c *engine.Conn) []byte // position to join from; nil: from now on
	joined(c *engine.Conn, data []byte)
}

const joinID = 1 // requests of scenarios have higher ids

// client is the handler of one loop: it brings connections up, then hands
// their messages to the scenario's app. Owned by the loop.
type client struct {
	f       *fleet
	l       *engine.Loop
	dialect gwproto.Dialect
	layer   bool // the dialect is Socket.IO's, which has packets of its own below messages
	phases  []phase
	app     app
	newApp  func(*client) app
	again   again
	buf     []byte
}

// Attach gives the client its loop, before the loop runs.
func (cl *client) Attach(l *engine.Loop) {
	cl.l = l
	cl.dialect, cl.layer = gwproto.Plain{}, cl.f.opts.Protocol == SocketIO
	if cl.layer {
		cl.dialect = sioproto.Dialect{}
	}
	cl.phases = make([]phase, len(l.Conns()))
	cl.app = cl.newApp(cl)
}

// Token appends the connection's credential for the handshake. Socket.IO has it
// in its CONNECT.
func (cl *client) Token(dst []byte, index int32) []byte {
	if cl.layer {
		return dst
	}
	return cl.f.opts.token(dst, index)
}

// Opened waits for the greeting.
func (cl *client) Opened(c *engine.Conn) {
	cl.phases[c.Slot] = greeting
	cl.l.Await(c)
}

// Message goes to the app once the connection is up.
func (cl *client) Message(c *engine.Conn, payload []byte, now int64) {
	if cl.layer && cl.packet(c, payload) {
		return
	}
	if cl.phases[c.Slot] == ready {
		cl.app.message(c, payload, now)
		return
	}
	cl.comingUp(c, payload)
}

// comingUp follows the greeting and the reply to the join.
func (cl *client) comingUp(c *engine.Conn, payload []byte) {
	var e gwproto.Envelope
	if !cl.dialect.Scan(payload, &e) {
		cl.refuse(c, "what is no message: "+clip(payload))
		return
	}
	switch string(e.Event) {
	case "connected":
		cl.greeted(c)
	case "room_joined":
		// A server that joins the user's room by itself says so without an id, after
		// connected: not before then is there anything to lose.
		if id, _ := gwproto.Uint(e.ID); id == cl.awaited(c) {
			if r, ok := cl.app.(resumer); ok && id == joinID {
				r.joined(c, e.Data)
			}
			offset, _ := gwproto.Uint(gwproto.Field(e.Data, "offset"))
			cl.up(c, offset)
		}
	case "error":
		cl.refuse(c, "error while coming up: "+clip(e.Data))
	}
}

// packet handles what Socket.IO has beside messages and reports whether it was
// such a packet.
func (cl *client) packet(c *engine.Conn, payload []byte) bool {
	switch sioproto.KindOf(payload) {
	case sioproto.Message:
		return false
	case sioproto.Open:
		var token [128]byte
		cl.buf = sioproto.AppendConnect(cl.buf[:0], cl.f.opts.token(token[:0], c.Index))
		cl.l.SendText(c, cl.buf)
	case sioproto.Ping:
		cl.l.Pinged()
		cl.buf = append(cl.buf[:0], sioproto.Pong...)
		cl.l.SendText(c, cl.buf)
	case sioproto.Connected:
	case sioproto.Ended:
		cl.refuse(c, "refused or disconnected: "+clip(payload))
	}
	return true
}

func (cl *client) greeted(c *engine.Conn) {
	cl.phases[c.Slot] = joining
	room := cl.f.room(c.Index)
	if room == "" {
		return
	}
	var since []byte
	if r, ok := cl.app.(resumer); ok {
		since = r.since(c)
	}
	cl.buf = gwproto.AppendJoin(cl.dialect, cl.buf[:0], joinID, room, since)
	cl.l.SendText(c, cl.buf)
}

// awaited is the id of the room_joined with which a connection is up.
func (cl *client) awaited(c *engine.Conn) uint64 {
	if cl.f.room(c.Index) == "" {
		return 0 // that of its user's room
	}
	return joinID
}

func (cl *client) up(c *engine.Conn, offset uint64) {
	cl.phases[c.Slot] = ready
	cl.l.Up(c)
	cl.app.ready(c, offset)
	cl.f.up.Add(1)
}

func (cl *client) refuse(c *engine.Conn, cause string) {
	cl.f.fault(cause)
	cl.l.Close(c, 1008)
}

// Closed counts an end that was not asked for.
func (cl *client) Closed(c *engine.Conn, why engine.Closure) {
	if cl.phases[c.Slot] == ready {
		cl.phases[c.Slot] = greeting
		cl.f.up.Add(-1)
	} else if cl.again.take(cl, c, why) {
		return
	}
	if !why.Ours {
		cl.f.ended(why)
	}
	cl.app.closed(c, why)
}

// Tick lets the app do what is due.
func (cl *client) Tick(now int64) int64 {
	return cl.again.tick(cl, now, cl.app.tick(now))
}

func clip(b []byte) string { return string(b[:min(len(b), 200)]) }
