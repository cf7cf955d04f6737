//go:build linux

package engine

import (
	"errors"
	"io"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/frame"
	"golang.org/x/sys/unix"
)

var (
	errBinary   = errors.New("binary message where text is spoken")
	errFragment = errors.New("fragments out of order")
)

// event handles what epoll reported.
func (l *Loop) event(ev *unix.EpollEvent) {
	if ev.Fd < 0 {
		var b [8]byte
		_, _ = unix.Read(l.wake, b[:])
		return
	}
	c := &l.conns[ev.Fd]
	if c.state == idle || ev.Pad != int32(c.gen) {
		return // closed earlier in this batch
	}
	if c.state == connecting {
		l.connected(c)
		return
	}
	if ev.Events&unix.EPOLLOUT != 0 && !l.drain(c) {
		return
	}
	if ev.Events&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR|unix.EPOLLRDHUP) != 0 {
		l.readable(c)
	}
}

// readable reads once: what remains, epoll reports again.
func (l *Loop) readable(c *Conn) {
	carried := l.unspill(c)
	n, errno := read(c.fd, l.buf[carried:])
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		l.keep(c, l.buf[:carried])
		return
	case errno != 0:
		l.finish(c, Closure{Code: 1006, Err: errno})
		return
	case n == 0:
		l.finish(c, Closure{Code: 1006, Err: io.EOF})
		return
	}
	l.local.reads++
	l.local.bytes += int64(n)
	l.now = l.clock.Now()
	l.consume(c, l.buf[:carried+n])
}

// unspill moves the beginning of an incomplete frame to the front of the read
// buffer, which grows if a frame is larger than it.
func (l *Loop) unspill(c *Conn) int {
	if c.spill == nil || len(c.spill.in) == 0 {
		return 0
	}
	n := len(c.spill.in)
	if n+readSize/4 > len(l.buf) {
		l.buf = make([]byte, 2*len(l.buf)+n)
	}
	copy(l.buf, c.spill.in)
	c.spill.in = c.spill.in[:0]
	l.giveBack(c)
	return n
}

// consume takes complete frames off b and keeps the rest.
func (l *Loop) consume(c *Conn, b []byte) {
	if c.state == opening {
		size := l.answer(c, b)
		if size == 0 {
			return
		}
		b = b[size:]
	}
	gen := c.gen
	for len(b) > 0 {
		first, payload, size, err := frame.Next(b)
		if err != nil {
			l.finish(c, Closure{Code: 1006, Err: err})
			return
		}
		if size == 0 {
			break
		}
		b = b[size:]
		if !l.frame(c, first, payload) || c.state == idle || c.gen != gen {
			return
		}
	}
	l.keep(c, b)
}

// answer takes the handshake's answer off b and returns its size; 0 when it is
// not whole yet, or c has ended.
func (l *Loop) answer(c *Conn, b []byte) int {
	size, err := l.target(c).Opening.CheckResponse(b)
	switch {
	case err != nil:
		l.finish(c, Closure{Code: 1006, Err: err})
		return 0
	case size == 0:
		l.keep(c, b)
		return 0
	}
	l.opened(c)
	return size
}

// frame handles one frame; false if c has ended.
func (l *Loop) frame(c *Conn, first byte, payload []byte) bool {
	if first == frame.Fin|frame.Text && (c.spill == nil || len(c.spill.msg) == 0) {
		l.h.Message(c, payload, l.now)
		return true
	}
	return l.other(c, first, payload)
}

// keep carries an incomplete frame over to the next read.
func (l *Loop) keep(c *Conn, rest []byte) {
	if len(rest) == 0 {
		return
	}
	s := l.borrow(c)
	s.in = append(s.in[:0], rest...)
}

// other handles everything but a whole text message; false if c has ended.
func (l *Loop) other(c *Conn, first byte, payload []byte) bool {
	switch op := first & 0x0F; op {
	case frame.Ping:
		l.local.pings++
		return c.state != open || l.SendFrame(c, frame.Pong, payload)
	case frame.Pong:
		return true
	case frame.Close:
		l.peerClosed(c, payload)
		return false
	case frame.Binary:
		l.finish(c, Closure{Code: 1006, Err: errBinary})
		return false
	default:
		return l.fragment(c, op, first&frame.Fin != 0, payload)
	}
}

func (l *Loop) fragment(c *Conn, op byte, fin bool, payload []byte) bool {
	begun := c.spill != nil && len(c.spill.msg) > 0
	s := l.borrow(c)
	// An empty first fragment counts as not begun: nothing is lost by it.
	if begun != (op == frame.Continuation) && (begun || len(payload) > 0) {
		l.finish(c, Closure{Code: 1006, Err: errFragment})
		return false
	}
	if len(s.msg)+len(payload) > frame.MaxPayload {
		l.finish(c, Closure{Code: 1006, Err: frame.ErrTooBig})
		return false
	}
	s.msg = append(s.msg, payload...)
	if !fin {
		return true
	}
	msg := s.msg
	s.msg = nil
	l.giveBack(c)
	l.h.Message(c, msg, l.now)
	return true
}

func (l *Loop) borrow(c *Conn) *spill {
	if c.spill == nil {
		if n := len(l.free); n > 0 {
			c.spill, l.free = l.free[n-1], l.free[:n-1]
		} else {
			c.spill = &spill{}
		}
	}
	return c.spill
}

func (l *Loop) giveBack(c *Conn) {
	if s := c.spill; s != nil && s.empty() {
		c.spill = nil
		if cap(s.in) <= 4<<10 && cap(s.out) <= 4<<10 && cap(s.msg) <= 4<<10 {
			l.free = append(l.free, s)
		}
	}
}

// peerClosed answers a close frame (RFC 6455 section 5.5.1) and ends.
func (l *Loop) peerClosed(c *Conn, payload []byte) {
	why := Closure{Ours: c.state == closing}
	why.Code, why.Reason = frame.CloseStatus(payload)
	if len(payload) == 1 {
		why.Err = errors.New("close frame with one byte")
	}
	if c.state == open {
		l.SendFrame(c, frame.Close, payload[:min(len(payload), 2)])
	}
	if c.state != idle {
		l.finish(c, why)
	}
}
