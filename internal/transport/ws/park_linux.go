package ws

import (
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// canPark tells whether connections can be parked on this system.
const canPark = true

// eventBatch is how many events a worker takes at once: few, so that one slow
// handler delays few others.
const eventBatch = 16

// poller is one epoll set and the workers that serve it. The set's own
// descriptor lies in Go's network poller, so that an idle worker is a parked
// goroutine and not a blocked thread: workers take turns in waiting for the
// set to become readable, and serve what they took without holding the turn.
type poller struct {
	table   *table
	workers int
	fd      int
	file    *os.File
	raw     syscall.RawConn // its read lock is the turn
	wg      sync.WaitGroup
}

func newPoller(t *table, workers int) (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("epoll set: %w", err)
	}
	file := os.NewFile(uintptr(fd), "epoll")
	raw, err := file.SyscallConn()
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("epoll set: %w", err)
	}
	return &poller{table: t, workers: workers, fd: fd, file: file, raw: raw}, nil
}

// start runs the workers; stop ends them.
func (p *poller) start() {
	for range p.workers {
		p.wg.Go(p.work)
	}
}

// stop closes the epoll set and waits for the workers to finish what they
// serve.
func (p *poller) stop() {
	_ = p.file.Close()
	p.wg.Wait()
}

func (p *poller) work() {
	events := make([]unix.EpollEvent, eventBatch)
	buf, b := make([]byte, readBuffer), newBatch()
	conns := make([]*conn, eventBatch)
	for {
		n := 0
		err := p.raw.Read(func(fd uintptr) bool {
			n = pollNow(int(fd), events)
			return n != 0
		})
		if err != nil || n < 0 {
			return
		}
		p.table.resolve(events[:n], conns)
		for i := range n {
			if c := conns[i]; c != nil {
				c.event(events[i].Events, buf, b)
			}
			conns[i] = nil
		}
	}
}

// pollNow takes events that are there: 0 if none, -1 if the set is broken.
func pollNow(fd int, events []unix.EpollEvent) int {
	for {
		n, _, err := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), 0, 0, 0)
		switch {
		case err == 0:
			return int(n)
		case err != unix.EINTR:
			return -1
		}
	}
}

// resolve turns events into connections, nil for those that are gone: the
// slot's generation has moved on.
func (t *table) resolve(events []unix.EpollEvent, conns []*conn) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for i := range events {
		conns[i] = t.lookup(uint32(events[i].Fd), uint32(events[i].Pad)) //nolint:gosec // bits of epoll data
	}
}

// event takes the reader's or the writer's part up again.
func (c *conn) event(events uint32, buf []byte, b *batch) {
	const broken = unix.EPOLLERR | unix.EPOLLHUP
	c.mu.Lock()
	if c.dead {
		c.mu.Unlock()
		return
	}
	if c.blocked && events&(unix.EPOLLOUT|broken) != 0 {
		c.blocked = false
		c.scheduleLocked()
	}
	read := c.role == readerIdle && !c.peerClosed && events&(unix.EPOLLIN|unix.EPOLLRDHUP|broken) != 0
	if read {
		c.role, c.corked = readerBusy, true
	}
	c.armLocked() // one-shot: what was not reported must be asked for again
	c.mu.Unlock()
	if read {
		c.serve(buf, b)
	}
}

// quickCall is the most bytes that are moved without telling Go's scheduler.
const quickCall = 16 << 10

// fdSocket is the socket of the parked mode: a descriptor of our own. It is a
// duplicate of net.TCPConn's, which is closed at the upgrade: that frees the
// net package's memory, and takes the socket out of Go's own epoll set, which
// would else wake up for every packet in vain. The connection's mu and roles
// see to it that nothing touches the descriptor after free.
type fdSocket struct {
	p     *poller
	fd    int
	added bool // guarded by the connection's mu: it is in the epoll set
}

var _ socket = (*fdSocket)(nil)

// detach takes over a plain TCP or Unix connection; false for any other, which
// is left as it is.
func (p *poller) detach(nc net.Conn) (fdSocket, bool) {
	var raw syscall.RawConn
	var err error
	switch nc := nc.(type) {
	case *net.TCPConn:
		raw, err = nc.SyscallConn()
	case *net.UnixConn:
		raw, err = nc.SyscallConn()
	default:
		return fdSocket{}, false
	}
	if err != nil {
		return fdSocket{}, false
	}
	fd, dupErr := -1, error(nil)
	err = raw.Control(func(old uintptr) {
		fd, dupErr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err != nil || dupErr != nil {
		return fdSocket{}, false
	}
	_ = nc.Close()
	return fdSocket{p: p, fd: fd}, true
}

func (s *fdSocket) read(p []byte) (int, error) {
	for {
		n, err := s.call(unix.SYS_READ, unsafe.Pointer(unsafe.SliceData(p)), len(p), len(p))
		switch {
		case err == 0 && n > 0:
			return n, nil
		case err == 0:
			return 0, io.EOF
		case err == unix.EAGAIN:
			return 0, errAgain
		case err != unix.EINTR:
			return 0, err
		}
	}
}

func (s *fdSocket) write(segs [][]byte) (int, error) {
	want := 0
	for _, p := range segs {
		want += len(p)
	}
	for {
		n, err := s.writev(segs)
		switch {
		case err == 0 && n < want, err == unix.EAGAIN:
			return max(n, 0), errAgain
		case err == 0:
			return n, nil
		case err != unix.EINTR:
			return 0, err
		}
	}
}

// writev is one write of all slices, without memory of its own.
func (s *fdSocket) writev(segs [][]byte) (int, unix.Errno) {
	if len(segs) == 1 {
		return s.call(unix.SYS_WRITE, unsafe.Pointer(unsafe.SliceData(segs[0])), len(segs[0]), len(segs[0]))
	}
	var iov [batchSlices]unix.Iovec
	size := 0
	for i, p := range segs {
		iov[i].Base = unsafe.SliceData(p)
		iov[i].SetLen(len(p))
		size += len(p)
	}
	return s.call(unix.SYS_WRITEV, unsafe.Pointer(&iov[0]), len(segs), size)
}

// call is one call that moves at most size bytes. Those of this file never wait,
// so Go's scheduler need not be told of them: it would wake its monitor for each
// message to a process that is mostly idle. Of a long one it should know.
func (s *fdSocket) call(number uintptr, at unsafe.Pointer, n, size int) (int, unix.Errno) {
	if size > quickCall {
		done, _, err := unix.Syscall(number, uintptr(s.fd), uintptr(at), uintptr(n))
		return int(done), err
	}
	done, _, err := unix.RawSyscall(number, uintptr(s.fd), uintptr(at), uintptr(n))
	return int(done), err
}

func (s *fdSocket) arm(c *conn, read, write bool) error {
	mask := uint32(unix.EPOLLONESHOT)
	if read {
		mask |= unix.EPOLLIN | unix.EPOLLRDHUP
	}
	if write {
		mask |= unix.EPOLLOUT
	}
	op := unix.EPOLL_CTL_MOD
	if !s.added {
		op, s.added = unix.EPOLL_CTL_ADD, true
	}
	ev := unix.EpollEvent{Events: mask, Fd: int32(c.slot), Pad: int32(c.gen)} //nolint:gosec // bits of epoll data
	return unix.EpollCtl(s.p.fd, op, s.fd, &ev)
}

func (s *fdSocket) closeWrite() bool { return unix.Shutdown(s.fd, unix.SHUT_WR) == nil }

func (s *fdSocket) cut(reset bool) {
	if reset {
		_ = unix.SetsockoptLinger(s.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
	_ = unix.Shutdown(s.fd, unix.SHUT_RDWR)
}

func (s *fdSocket) free() { _ = unix.Close(s.fd) }
