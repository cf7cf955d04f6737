//go:build linux

package engine

import (
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// dialer paces a loop's new connections. Owned by the loop.
type dialer struct {
	rate     int64 // connections per second of this loop
	inFlight int64
	sources  []netip.Addr
	next     int // slot of the next connection
	until    int // dial slots below it
	begin    int64
	first    int
}

func (d *dialer) init(cfg *Config) {
	d.rate = int64(max(cfg.Ramp/cfg.Threads, 1))
	d.inFlight = int64(max(cfg.InFlight/cfg.Threads, 1))
	d.sources = cfg.Sources
}

// due is when the next is to be dialled, 0 for never. While too many handshakes
// are under way the end of one is awaited.
func (d *dialer) due(l *Loop) int64 {
	if d.next >= d.until || l.Counters.Pending.Load() >= d.inFlight {
		return 0
	}
	return max(d.begin+int64(d.next-d.first)*int64(time.Second)/d.rate, l.now+1)
}

// tick dials as many as the ramp and the bound of open handshakes allow.
func (d *dialer) tick(l *Loop) {
	if d.next >= d.until {
		return
	}
	if d.begin == 0 {
		d.begin, d.first = l.now, d.next
	}
	allowed := d.first + 1 + int((l.now-d.begin)*d.rate/int64(time.Second))
	for d.next < min(d.until, allowed) && l.Counters.Pending.Load() < d.inFlight {
		c := &l.conns[d.next]
		d.next++
		l.connect(c)
	}
}

// Redial connects c, which has ended, to a target. Neither ramp nor the bound
// of open handshakes holds it up.
func (l *Loop) Redial(c *Conn, target int) {
	c.to = uint8(target) //nolint:gosec // at most 256
	l.connect(c)
}

func (l *Loop) target(c *Conn) *Target { return &l.cfg.Targets[c.to] }

// connect begins one connection.
func (l *Loop) connect(c *Conn) {
	l.Counters.Dialled.Add(1)
	l.Counters.Pending.Add(1)
	c.state = connecting
	family := unix.AF_INET
	if l.target(c).Addr.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		l.finish(c, Closure{Code: 1006, Err: fmt.Errorf("socket: %w", err)})
		return
	}
	c.fd = int32(fd) //nolint:gosec // a descriptor
	if err := l.connectSocket(c, fd); err != nil {
		l.finish(c, Closure{Code: 1006, Err: err})
	}
}

func (l *Loop) connectSocket(c *Conn, fd int) error {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if n := len(l.dial.sources); n > 0 {
		// The port is chosen at connect, per (source, target), not per source.
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		from := &unix.SockaddrInet4{Addr: l.dial.sources[int(c.Index)%n].As4()}
		if err := unix.Bind(fd, from); err != nil {
			return fmt.Errorf("bind %s: %w", l.dial.sources[int(c.Index)%n], err)
		}
	}
	ev := l.interest(c, unix.EPOLLIN|unix.EPOLLOUT)
	if err := unix.EpollCtl(l.epfd, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	c.armed = true
	if err := unix.Connect(fd, sockaddr(l.target(c).Addr)); err != nil && err != unix.EINPROGRESS {
		return fmt.Errorf("connect: %w", err)
	}
	return nil
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is6() {
		return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
	}
	return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
}

// connected follows the end of connect(2): the handshake request goes out.
func (l *Loop) connected(c *Conn) {
	errno, err := unix.GetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && errno != 0 {
		err = unix.Errno(errno)
	}
	if err != nil {
		l.finish(c, Closure{Code: 1006, Err: fmt.Errorf("connect: %w", err)})
		return
	}
	c.state = opening
	var token [128]byte
	l.wbuf = l.target(c).Opening.AppendRequest(l.wbuf[:0], l.h.Token(token[:0], c.Index))
	if l.Write(c, l.wbuf) && l.Pending(c) == 0 {
		l.arm(c, false)
	}
}

func (l *Loop) opened(c *Conn) {
	c.state = open
	l.Counters.Pending.Add(-1)
	l.Counters.Open.Add(1)
	l.h.Opened(c)
}
