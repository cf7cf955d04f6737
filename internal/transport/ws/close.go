package ws

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// abnormal is the end of a connection that was cut.
func abnormal(reason string) wire.Close {
	return wire.Close{Code: wire.CloseAbnormal, Reason: reason}
}

// decideLocked sets why the connection ends; the first decides.
func (c *conn) decideLocked(why wire.Close) {
	if !c.decided {
		c.decided, c.why = true, why
	}
}

// closeLocked begins the closing handshake: a close frame behind what is
// queued, nothing after it, and a deadline for the rest.
func (c *conn) closeLocked(why wire.Close) {
	c.decideLocked(why)
	c.goodbyeLocked(closeFrame(why))
}

func (c *conn) goodbyeLocked(f *wire.Frame) {
	c.closing = true
	c.deaf.Store(true)
	c.pushLocked(f, len(f.WebSocket()))
	c.scheduleLocked()
	now := c.srv.now()
	c.closeBy = now + c.srv.cfg.CloseTimeout
	c.setDueLocked(now, c.closeBy)
	if c.role == readerHeld {
		c.unholdLocked() // the peer's close frame must be read
	}
}

// fail answers a broken rule: the close frame that names it, then whatever
// still comes is thrown away until the peer is gone or the time is up.
func (c *conn) fail(broken fault) {
	c.srv.stats.protocol.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failLocked(broken)
}

func (c *conn) failLocked(broken fault) {
	c.failed.Store(true)
	switch {
	case c.closeSent:
		c.cutLocked(abnormal(broken.reason), false)
	case !c.closing:
		c.closeLocked(wire.Close{Code: broken.code, Reason: broken.reason})
	}
}

// peerClose takes the peer's close frame (RFC 6455 section 5.5.1). After it
// nothing is read any more: its code is echoed, behind what is queued.
func (c *conn) peerClose(payload []byte) verdict {
	why, broken := parseClose(payload)
	if broken != nil {
		c.fail(*broken)
		return readOn
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.peerClosed = true
	c.byPeer = c.byPeer || !c.decided
	c.decideLocked(why)
	switch {
	case c.closeSent:
		c.cutLocked(why, false)
		return readEnd
	case !c.closing:
		c.goodbyeLocked(closeFrame(wire.Close{Code: why.Code}))
	}
	return readMute
}

// closeWrittenLocked goes on once our close frame is with the kernel. It
// reports true when the writing side must be shut.
func (c *conn) closeWrittenLocked() (shut bool) {
	c.closeSent = true
	switch {
	case c.peerClosed:
		c.cutLocked(c.why, false)
	case c.failed.Load():
		return true
	}
	return false
}

// cutNow is Abort for the transport's own goroutines: it may call the handler.
func (c *conn) cutNow(why wire.Close) {
	c.mu.Lock()
	mine := c.dieLocked(why, true)
	c.mu.Unlock()
	if mine {
		c.finish()
	}
}

// cutLocked ends the connection now. The handler hears of it from the reader,
// or from a goroutine of its own if nobody reads.
func (c *conn) cutLocked(why wire.Close, reset bool) {
	if c.dieLocked(why, reset) {
		c.srv.spawn(c.finish)
	}
}

// dieLocked cuts the socket and drops what is queued. It reports true when the
// caller has the reader's part and must see to finish.
func (c *conn) dieLocked(why wire.Close, reset bool) bool {
	if c.dead {
		return false
	}
	c.decideLocked(why)
	c.dead, c.closing = true, true
	c.deaf.Store(true)
	c.srv.wheel.Cancel(&c.timer)
	c.settleLocked()
	c.holdLocked(0)
	if !c.writing {
		c.recycleLocked()
	}
	c.sock.cut(reset)
	if c.role == readerIdle || c.role == readerHeld {
		c.role = readerBusy
		return true
	}
	return false
}

// finish is the reader's last act.
func (c *conn) finish() {
	c.in = nil
	c.mu.Lock()
	why, peer := c.why, c.byPeer
	c.mu.Unlock()
	k := &c.srv.stats
	switch {
	case why.Code == wire.CloseAbnormal:
		k.abnormally.Add(1)
	case peer:
		k.byPeer.Add(1)
	default:
		k.byServer.Add(1)
	}
	if c.handler != nil {
		c.handler.Closed(why)
	}
	k.open.Add(-1)
	c.mu.Lock()
	c.role = readerDone
	c.releaseLocked()
	c.mu.Unlock()
}

// releaseLocked gives the descriptor back once neither part uses it.
func (c *conn) releaseLocked() {
	if c.role != readerDone || c.writing || c.freed {
		return
	}
	c.freed = true
	c.sock.free()
	c.srv.table.remove(c)
}

// recycleLocked gives the queue back.
func (c *conn) recycleLocked() {
	if c.queue != nil {
		c.srv.queues.put(c.queue)
		c.queue, c.queued = nil, 0
		c.holdLocked(0)
	}
	c.progress = 0
}

// closeFrame is why as a close frame; a code that may not stand on the wire
// makes it empty.
func closeFrame(why wire.Close) *wire.Frame {
	if !validCloseCode(uint16(why.Code)) {
		return wire.NewFrame(opClose, wire.Buffer(0))
	}
	reason := why.Reason
	for len(reason) > maxControl-2 || !utf8.ValidString(reason) {
		reason = reason[:min(len(reason)-1, maxControl-2)]
	}
	buf := binary.BigEndian.AppendUint16(wire.Buffer(2+len(reason)), uint16(why.Code))
	return wire.NewFrame(opClose, append(buf, reason...))
}

// parseClose checks the payload of a peer's close frame.
func parseClose(payload []byte) (wire.Close, *fault) {
	if len(payload) == 0 {
		return wire.Close{Code: wire.CloseNoStatus}, nil
	}
	if len(payload) == 1 || !validCloseCode(binary.BigEndian.Uint16(payload)) {
		return wire.Close{}, &fault{wire.CloseProtocolError, "bad close code"}
	}
	if !utf8.Valid(payload[2:]) {
		return wire.Close{}, &fault{wire.CloseInvalidPayload, "close reason is not UTF-8"}
	}
	return wire.Close{Code: wire.CloseCode(binary.BigEndian.Uint16(payload)), Reason: string(payload[2:])}, nil
}

// validCloseCode tells whether a code may stand in a close frame (RFC 6455
// section 7.4 and the IANA registry).
func validCloseCode(code uint16) bool {
	switch code {
	case 1004, 1005, 1006:
		return false
	}
	return code >= 1000 && code <= 1014 || code >= 3000 && code <= 4999
}
