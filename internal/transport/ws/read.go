package ws

import (
	"errors"
	"io"
)

const (
	readBuffer      = 16 << 10 // of a worker, for whatever it reads
	readBufferAlone = 2 << 10  // of a connection with a goroutine
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

// last reports whether nothing will be read again.
func (v verdict) last() bool { return v == readMute || v == readEnd }

// serveAlone has the reader's part on a goroutine of its own: always in
// goroutine mode, after Resume and after an upgrade with bytes in parked mode.
func (c *conn) serveAlone() {
	if !c.parked {
		c.serve(make([]byte, readBufferAlone), nil)
		return
	}
	buf, ok := c.srv.buffers.Get().(*[]byte)
	if !ok {
		b := make([]byte, readBuffer)
		buf = &b
	}
	c.serve(*buf, nil)
	c.srv.buffers.Put(buf)
}

// serve has the reader's part until it gives it up or the connection ends. With
// b, what is queued meanwhile, replies mostly, is written here and not by a
// flusher: once for all that one read brought, and without waking anybody.
func (c *conn) serve(buf []byte, b *batch) {
	c.active.Store(true)
	v := c.leftover()
	for turn := 0; ; turn++ {
		switch v {
		case readOn:
			v = c.readTurn(buf, b, turn)
		case readHold:
			c.uncork(b, false)
			if v = c.hold(); v == readHold {
				return
			}
			if v == readOn {
				v = c.leftover()
			}
		case readPark, readMute:
			if c.park(v == readMute) {
				c.flush(b)
			}
			return
		case readEnd:
			c.finish()
			return
		}
	}
}

// readTurn reads once, unless others must have their turn.
func (c *conn) readTurn(buf []byte, b *batch, turn int) verdict {
	if turn > 0 {
		c.uncork(b, true)
	}
	if c.parked && turn >= readTurns {
		return readPark // what is still there brings the next event at once
	}
	return c.readOnce(buf)
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
// has closed. It reports whether the caller has the writer's part now.
func (c *conn) park(mute bool) (write bool) {
	c.active.Store(false)
	c.mu.Lock()
	if !c.dead {
		c.role = readerIdle
		if !mute {
			c.armLocked()
		}
		write = c.uncorkLocked()
		c.mu.Unlock()
		return write
	}
	c.mu.Unlock()
	c.finish()
	return false
}

// uncork writes what was queued since the connection was corked; again: and
// corks it anew.
func (c *conn) uncork(b *batch, again bool) {
	if b == nil {
		return
	}
	c.mu.Lock()
	write := c.uncorkLocked()
	c.corked = again
	c.mu.Unlock()
	if write {
		c.flush(b)
	}
}

// uncorkLocked reports whether the caller has the writer's part now.
func (c *conn) uncorkLocked() bool {
	if !c.corked {
		return false
	}
	c.corked = false
	if c.scheduled || c.blocked || c.dead || c.queue == nil {
		return false
	}
	c.scheduled = true
	return true
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
