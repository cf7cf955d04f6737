package ws

import (
	"errors"
	"unicode/utf8"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// readRoom is the least free space of a buffer that holds a partial message.
const readRoom = 1 << 10

// leftover handles what lies in c.in: bytes that came with the upgrade, or
// behind a message at which the handler held.
func (c *conn) leftover() verdict {
	if len(c.in) == 0 {
		return readOn
	}
	return c.ingest(c.in, true)
}

// took sorts n fresh bytes, which lie behind c.in or in buf.
func (c *conn) took(buf []byte, n int) verdict {
	if c.failed.Load() {
		c.in = nil
		return readOn
	}
	if len(c.in) > 0 {
		return c.ingest(c.in[:len(c.in)+n], true)
	}
	return c.ingest(buf[:n], false)
}

// space is where the next read goes: behind an incomplete unit, else buf.
func (c *conn) space(buf []byte) []byte {
	if len(c.in) == 0 {
		return buf
	}
	if cap(c.in)-len(c.in) < readRoom {
		grown := make([]byte, len(c.in), max(2*cap(c.in), len(c.in)+readRoom))
		copy(grown, c.in)
		c.in = grown
	}
	return c.in[len(c.in):cap(c.in)]
}

// ingest handles every complete unit in data and keeps the rest in c.in; own
// tells that data lies there already.
func (c *conn) ingest(data []byte, own bool) verdict {
	lim := c.srv.limits
	lim.deflate = c.deflate
	s := c.framer.scan(data)
	v, fresh := readOn, false
	for v == readOn && !c.failed.Load() {
		u, broken := c.framer.next(&s, lim)
		if broken != nil {
			c.fail(*broken)
			break
		}
		if u.frames == nil {
			break
		}
		v = c.handle(u)
		fresh = fresh || !c.framer.open()
	}
	if v.last() || c.failed.Load() {
		c.in = nil
		c.partial(false, true)
		return v
	}
	c.keep(c.framer.rest(&s), own)
	c.partial(len(c.in) > 0 && v != readHold, fresh)
	return v
}

// keep stores an incomplete rest until more comes.
func (c *conn) keep(rest []byte, own bool) {
	switch {
	case len(rest) == 0:
		c.in = nil
	case own && cap(rest) <= 4*(len(rest)+readRoom):
		c.in = rest
	default:
		c.in = append(make([]byte, 0, len(rest)+readRoom/2), rest...)
	}
}

// handle acts on one unit.
func (c *conn) handle(u unit) verdict {
	switch u.op {
	case opText, opBinary:
		c.srv.stats.messagesIn.Add(1)
		return c.deliver(u)
	case opPing:
		c.pong(unmask(u.frames, u.payload))
	case opClose:
		c.srv.stats.controlIn.Add(1)
		return c.peerClose(unmask(u.frames, u.payload))
	}
	c.srv.stats.controlIn.Add(1)
	return readOn
}

// deliver gives one message to the handler.
func (c *conn) deliver(u unit) verdict {
	if c.deaf.Load() {
		return readOn // after Close, messages are discarded
	}
	if u.deflated {
		u.frames[0] &^= 0x40 // the decoder sees an uncompressed message
	}
	payload, err := c.srv.decoders.decode(u)
	if err != nil {
		c.fail(fault{wire.CloseProtocolError, "malformed message"})
		return readOn
	}
	if !u.deflated {
		return c.receive(wire.Op(u.op), payload)
	}
	in := c.srv.inflaters.get()
	defer c.srv.inflaters.put(in)
	payload, err = in.inflate(payload, c.srv.limits.payload)
	switch {
	case errors.Is(err, errTooBig):
		c.fail(fault{wire.CloseTooBig, "message too big"})
		return readOn
	case err != nil:
		c.fail(fault{wire.CloseInvalidPayload, "malformed compression"})
		return readOn
	}
	return c.receive(wire.Op(u.op), payload)
}

func (c *conn) receive(op wire.Op, payload []byte) verdict {
	if op == wire.Text && !utf8.Valid(payload) {
		c.fail(fault{wire.CloseInvalidPayload, "text is not UTF-8"})
		return readOn
	}
	if c.handler.Receive(op, payload) {
		return readOn
	}
	return readHold
}

// pong answers a ping. A pong that still waits is replaced: only the latest
// ping needs an answer (RFC 6455 section 5.5.3), and a flood queues nothing.
func (c *conn) pong(payload []byte) {
	f := wire.NewFrame(opPong, append(wire.Buffer(len(payload)), payload...))
	c.mu.Lock()
	defer c.mu.Unlock()
	if q := c.queue; q != nil && !c.closing && q.len() > max(q.taken, 1) {
		if last := &q.items[len(q.items)-1].frame; *last != nil && (*last).Op == opPong {
			c.queued += len(f.WebSocket()) - len((*last).WebSocket())
			*last = f
			return
		}
	}
	if c.queueLocked(f, len(f.WebSocket())) {
		c.scheduleLocked()
	}
}

// partial notes whether a message is incomplete, for its deadline; fresh tells
// that it is not the one that was incomplete before.
func (c *conn) partial(incomplete, fresh bool) {
	if !incomplete && c.partialSince == 0 {
		return // only the reader writes it, so it may look without the lock
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !incomplete:
		c.partialSince = 0
	case c.partialSince == 0 || fresh:
		c.partialSince = max(c.srv.now(), 1)
		c.setDueLocked(c.partialSince, c.partialSince+c.srv.cfg.MessageTimeout)
	}
}
