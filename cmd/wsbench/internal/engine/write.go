//go:build linux

package engine

import (
	"encoding/binary"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/frame"
	"golang.org/x/sys/unix"
)

// Mask is a fresh masking key.
func (l *Loop) Mask() uint32 { return uint32(l.rnd.Uint64()) } //nolint:gosec // the lower half

// SendText sends one text message; false if the connection has ended.
func (l *Loop) SendText(c *Conn, payload []byte) bool { return l.SendFrame(c, frame.Text, payload) }

// SendFrame sends one frame; false if the connection has ended.
func (l *Loop) SendFrame(c *Conn, op byte, payload []byte) bool {
	l.wbuf = frame.AppendMasked(l.wbuf[:0], op, payload, l.Mask())
	return l.Write(c, l.wbuf)
}

// Write sends bytes that are frames, or parts of one, already. What the socket
// does not take is kept and sent when it can. False if the connection has
// ended, in this call or before.
func (l *Loop) Write(c *Conn, b []byte) bool {
	if c.state == idle {
		return false
	}
	if c.spill != nil && len(c.spill.out) > 0 {
		c.spill.out = append(c.spill.out, b...)
		return true
	}
	n, ok := l.try(c, b)
	if !ok || n == len(b) {
		return ok
	}
	s := l.borrow(c)
	s.out = append(s.out[:0], b[n:]...)
	return l.arm(c, true)
}

// Pending is how many bytes the socket has not taken.
func (l *Loop) Pending(c *Conn) int {
	if c.spill == nil {
		return 0
	}
	return len(c.spill.out)
}

// try writes what the socket takes; false if that ended the connection.
func (l *Loop) try(c *Conn, b []byte) (int, bool) {
	done := 0
	for done < len(b) {
		n, errno := write(c.fd, b[done:])
		switch errno {
		case 0:
			done += n
		case unix.EAGAIN:
			return done, true
		case unix.EINTR:
		case unix.EPIPE, unix.ECONNRESET:
			// The peer has closed. What it said last may still be unread; the
			// read will end the connection.
			return len(b), true
		default:
			l.finish(c, Closure{Code: 1006, Err: errno})
			return done, false
		}
	}
	return done, true
}

// drain writes what was kept; false if that ended the connection.
func (l *Loop) drain(c *Conn) bool {
	if c.spill == nil || len(c.spill.out) == 0 {
		return l.arm(c, false)
	}
	n, ok := l.try(c, c.spill.out)
	if !ok {
		return false
	}
	c.spill.out = append(c.spill.out[:0], c.spill.out[n:]...)
	if len(c.spill.out) > 0 {
		return true
	}
	l.giveBack(c)
	return l.arm(c, false)
}

// arm chooses whether epoll reports writability.
func (l *Loop) arm(c *Conn, on bool) bool {
	if c.armed == on {
		return true
	}
	ev := l.interest(c, unix.EPOLLIN)
	if on {
		ev.Events |= unix.EPOLLOUT
	}
	if err := unix.EpollCtl(l.epfd, unix.EPOLL_CTL_MOD, int(c.fd), &ev); err != nil {
		l.finish(c, Closure{Code: 1006, Err: err})
		return false
	}
	c.armed = on
	return true
}

func (l *Loop) interest(c *Conn, events uint32) unix.EpollEvent {
	return unix.EpollEvent{Events: events, Fd: c.Slot, Pad: int32(c.gen)}
}

// Close begins the closing handshake. The server's answer, or the end of the
// group, ends it.
func (l *Loop) Close(c *Conn, code uint16) {
	switch c.state {
	case open:
		var payload [2]byte
		binary.BigEndian.PutUint16(payload[:], code)
		if l.SendFrame(c, frame.Close, payload[:]) {
			c.state = closing
		}
	case connecting, opening:
		l.finish(c, Closure{Code: 1006, Ours: true})
	case idle, closing:
	}
}

// finish closes the socket, frees the slot, tells the handler, and counts: whoever
// finds an end counted finds what the handler has made of it too.
func (l *Loop) finish(c *Conn, why Closure) {
	why.Opened = c.state == open || c.state == closing
	why.Ours = why.Ours || c.state == closing
	l.Up(c)
	_ = unix.Close(int(c.fd))
	c.fd, c.state, c.armed = -1, idle, false
	c.gen++
	c.spill = nil
	l.h.Closed(c, why)
	switch {
	case !why.Opened:
		l.Counters.Pending.Add(-1)
		if !why.Ours {
			l.Counters.Failed.Add(1)
		}
	case why.Ours:
		l.Counters.Finished.Add(1)
		l.Counters.Open.Add(-1)
	default:
		l.Counters.Ended.Add(1)
		l.Counters.Open.Add(-1)
	}
}
