package ws

import (
	"errors"
	"io"
	"unicode/utf8"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

const (
	readBuffer      = 16 << 10 // of a worker, for whatever it reads
	readBufferAlone = 2 << 10  // of a connection with a goroutine
	readRoom        = 1 << 10  // least free space of a buffer that holds a partial message
	readTurns       = 16       // reads of one connection before others have their turn
)

// verdict is what the reader does next.
type verdict uint8

const (
	readOn   verdict = iota // read on
	readPark                // wait for more
	readHold                // Receive returned false
	readMute                // the peer has closed: nothing is read any more
	readEnd                 // the connection is dead
)

// serveAlone has the reader's part on a goroutine of its own: always in
// goroutine mode, after Resume and after an upgrade with bytes in parked mode.
func (c *conn) serveAlone() {
	if !c.parked {
		c.serve(make([]byte, readBufferAlone))
		return
	}
	buf, ok := c.srv.buffers.Get().(*[]byte)
	if !ok {
		b := make([]byte, readBuffer)
		buf = &b
	}
	c.serve(*buf)
	c.srv.buffers.Put(buf)
}

// serve has the reader's part until it gives it up or the connection ends.
func (c *conn) serve(buf []byte) {
	c.active.Store(true)
	v := readOn
	if len(c.in) > 0 {
		v = c.ingest(c.in, true)
	}
	for turn := 0; ; turn++ {
		switch {
		case v == readHold:
			if v = c.hold(); v == readHold {
				return
			}
			if len(c.in) > 0 {
				v = c.ingest(c.in, true)
				continue
			}
		case v == readOn && c.parked && turn == readTurns:
			v = readPark
		}
		switch v {
		case readOn:
			v = c.readOnce(buf)
		case readPark, readMute:
			c.park(v == readMute)
			return
		case readEnd:
			c.finish()
			return
		}
	}
}

// readOnce reads once and takes what came.
func (c *conn) readOnce(buf []byte) verdict {
	dst := c.space(buf)
	c.active.Store(false)
	n, err := c.sock.read(dst)
	c.active.Store(true)
	if n > 0 {
		c.heard.Store(int64(c.srv.now()))
		c.srv.stats.bytesIn.Add(int64(n))
		if v := c.took(buf, n); v != readOn {
			return v
		}
	}
	switch {
	case err == nil && c.parked && n < len(dst):
		return readPark // nothing more was there; an event tells if that changed
	case err == nil:
		return readOn
	case errors.Is(err, errAgain):
		return readPark
	}
	c.lost(err)
	return readEnd
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
	v := readOn
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
	}
	if v == readEnd || v == readMute || c.failed.Load() {
		c.in = nil
		c.partial(false)
		return v
	}
	c.keep(c.framer.rest(&s), own)
	c.partial(len(c.in) > 0 && v != readHold)
	return v
}

// keep stores an incomplete rest until more comes.
func (c *conn) keep(rest []byte, own bool) {
	switch {
	case len(rest) == 0:
		c.in = nil
	case own:
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

// hold gives the reader's part up until Resume, unless that has come, or the
// connection closes, when the peer's close frame must still be read.
func (c *conn) hold() verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.dead:
		return readEnd
	case c.resumed || c.closing:
		c.resumed = false
		return readOn
	}
	c.role = readerHeld
	return readHold
}

// park gives the reader's part up until more comes, or for good when the peer
// has closed.
func (c *conn) park(mute bool) {
	c.active.Store(false)
	c.mu.Lock()
	if !c.dead {
		c.role = readerIdle
		if !mute {
			c.armLocked()
		}
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	c.finish()
}

// armLocked asks for the events that are waited for.
func (c *conn) armLocked() {
	read := c.role == readerIdle && !c.peerClosed
	if c.dead || !c.parked || !read && !c.blocked {
		return
	}
	if err := c.sock.arm(c, read, c.blocked); err != nil {
		c.cutLocked(abnormal("cannot be watched"), true)
	}
}

// lost is the end by the peer or the network, without a closing handshake.
func (c *conn) lost(err error) {
	why := abnormal("connection lost")
	if errors.Is(err, io.EOF) {
		why.Reason = "connection ended"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cutLocked(why, false)
}

// pong answers a ping. A pong that still waits is replaced: only the latest
// ping needs an answer (RFC 6455 section 5.5.3), and a flood queues nothing.
func (c *conn) pong(payload []byte) {
	f := wire.NewFrame(opPong, append(wire.Buffer(len(payload)), payload...))
	c.mu.Lock()
	defer c.mu.Unlock()
	if q := c.queue; q != nil && !c.closing && q.len() > max(q.taken, 1) {
		if last := &q.items[len(q.items)-1]; (*last).Op == opPong {
			c.queued += len(f.WebSocket()) - len((*last).WebSocket())
			*last = f
			return
		}
	}
	if c.queueLocked(f, len(f.WebSocket())) {
		c.scheduleLocked()
	}
}

// partial notes whether a message is incomplete, for its deadline.
func (c *conn) partial(incomplete bool) {
	if !incomplete && c.partialSince == 0 {
		return // only the reader writes it, so it may look without the lock
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !incomplete:
		c.partialSince = 0
	case c.partialSince == 0:
		c.partialSince = max(c.srv.now(), 1)
		c.setDueLocked(c.partialSince, c.partialSince+c.srv.cfg.MessageTimeout)
	}
}
