//go:build linux

package baseline

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/frame"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/gwproto"
	"golang.org/x/sys/unix"
)

func listen(size, batch int) (*server, netip.AddrPort, error) {
	s := &server{batch: newRing(size, batch)}
	var err1, err2, err3 error
	s.lfd, err1 = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	s.epfd, err2 = unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	s.wake, err3 = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, netip.AddrPort{}, err
	}
	addr, err := s.bind()
	if err != nil {
		s.close()
	}
	return s, addr, err
}

func (s *server) bind() (netip.AddrPort, error) {
	var none netip.AddrPort
	if err := unix.Bind(s.lfd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return none, fmt.Errorf("bind: %w", err)
	}
	if err := unix.Listen(s.lfd, 4096); err != nil {
		return none, fmt.Errorf("listen: %w", err)
	}
	for _, fd := range []int{s.lfd, s.wake} {
		ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)} //nolint:gosec // a descriptor
		if err := unix.EpollCtl(s.epfd, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
			return none, fmt.Errorf("epoll_ctl: %w", err)
		}
	}
	name, err := unix.Getsockname(s.lfd)
	if err != nil {
		return none, fmt.Errorf("getsockname: %w", err)
	}
	in4, ok := name.(*unix.SockaddrInet4)
	if !ok {
		return none, errors.New("not an IPv4 socket")
	}
	return netip.AddrPortFrom(netip.AddrFrom4(in4.Addr), uint16(in4.Port)), nil //nolint:gosec // a port
}

func (s *server) event(ev *unix.EpollEvent) {
	switch fd := int(ev.Fd); fd {
	case s.lfd:
		s.accept()
	case s.wake:
		var b [8]byte
		_, _ = unix.Read(fd, b[:])
	default:
		c := s.conns[fd]
		if c == nil {
			return
		}
		if ev.Events&unix.EPOLLOUT != 0 {
			c.blocked = false
			s.watch(c, unix.EPOLLIN)
		}
		if ev.Events&^uint32(unix.EPOLLOUT) != 0 {
			s.read(c)
		}
	}
}

func (s *server) accept() {
	for {
		fd, _, err := unix.Accept4(s.lfd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)} //nolint:gosec // a descriptor
		if unix.EpollCtl(s.epfd, unix.EPOLL_CTL_ADD, fd, &ev) != nil {
			_ = unix.Close(fd)
			return
		}
		for len(s.conns) <= fd {
			s.conns = append(s.conns, nil)
		}
		s.conns[fd] = &conn{fd: fd}
	}
}

// read answers the handshake and takes whatever comes next for the join. Later
// bytes (pongs, a close frame) are read and forgotten.
func (s *server) read(c *conn) {
	var b [4096]byte
	n, err := unix.Read(c.fd, b[:])
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return
	}
	if err != nil || n <= 0 {
		s.drop(c)
		return
	}
	switch {
	case c.joined:
	case c.opened:
		c.joined = true
		s.say(c, fmt.Sprintf(`{"event":"room_joined","id":%d,"data":{"room":%q,"offset":0,"pos":""}}`, JoinID, room))
		c.next = s.batch.head
		s.ready = append(s.ready, c)
	default:
		c.in = append(c.in, b[:n]...)
		s.open(c)
	}
}

func (s *server) open(c *conn) {
	if !bytes.HasSuffix(c.in, []byte("\r\n\r\n")) {
		return
	}
	_, rest, _ := bytes.Cut(c.in, []byte("Sec-WebSocket-Key: "))
	key, _, _ := bytes.Cut(rest, []byte("\r\n"))
	c.in, c.opened = nil, true
	_, _ = unix.Write(c.fd, fmt.Appendf(nil, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"+
		"Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: %s\r\n\r\n",
		frame.AcceptKey(string(key)), gwproto.Protocol))
	s.say(c, `{"event":"connected","data":{"connectionId":"x","userId":"x","heartbeatMs":25000}}`)
}

func (s *server) say(c *conn, text string) {
	_, _ = unix.Write(c.fd, appendFrame(nil, []byte(text))) // small, into an empty socket
}

func (s *server) drop(c *conn) {
	for i, r := range s.ready {
		if r == c {
			s.ready = append(s.ready[:i], s.ready[i+1:]...)
			s.batch.leave(c.next)
			break
		}
	}
	s.conns[c.fd] = nil
	_ = unix.Close(c.fd)
}
