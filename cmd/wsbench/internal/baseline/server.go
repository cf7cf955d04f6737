//go:build linux

package baseline

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Perform serves at an ephemeral loopback port until stdin ends, with size
// bytes of data in each frame and batch frames (at most 1024) in each call, and
// writes rate frames per second to each connection, 0: as fast as they are
// taken. It prints its address when it is ready; the line "go" on stdin starts the writing, "stop" ends it, whereupon it prints
// how many frames each connection was sent.
func Perform(_ context.Context, size, batch int, rate float64, stdin io.Reader, stdout io.Writer) error {
	s, addr, err := listen(size, batch)
	if err != nil {
		return fmt.Errorf("baseline server: %w", err)
	}
	defer s.close()
	if rate > 0 {
		s.every = time.Duration(float64(batch) / rate * float64(time.Second))
	}
	if _, err := fmt.Fprintln(stdout, addr); err != nil {
		return err
	}
	var commands sync.WaitGroup
	commands.Go(func() { s.obey(stdin) })
	err = s.run(stdout)
	if err == nil {
		commands.Wait() // stdin has ended: that is why run returned
	}
	return err
}

type mode = int32

const (
	quiet mode = iota
	writing
	stopping // finish the batches begun, then report
	over
)

// server is one thread that owns everything but mode.
type server struct {
	mode   atomic.Int32
	lfd    int
	epfd   int
	wake   int
	conns  []*conn // by descriptor; nil where there is none
	ready  []*conn // joined, in order
	batch  ring
	every  time.Duration // between batches; 0: none is waited for
	due    time.Time     // when the next batch begins, with every
	events [256]unix.EpollEvent
}

type conn struct {
	fd      int
	in      []byte
	opened  bool
	joined  bool
	blocked bool
	next    uint64 // batch to write
	done    int    // bytes of it already written
}

func (s *server) obey(stdin io.Reader) {
	for lines := bufio.NewScanner(stdin); lines.Scan(); {
		switch lines.Text() {
		case "go":
			s.mode.Store(writing)
		case "stop":
			s.mode.Store(stopping)
		}
		s.rouse()
	}
	s.mode.Store(over)
	s.rouse()
}

func (s *server) rouse() {
	one := [8]byte{1}
	_, _ = unix.Write(s.wake, one[:])
}

// run serves until mode is over.
func (s *server) run(stdout io.Writer) error {
	for {
		timeout := s.rest()
		switch m := s.mode.Load(); {
		case m == over:
			return nil
		case s.work(m):
			timeout = 0
		case m == stopping && s.batch.open == 0:
			if _, err := fmt.Fprintln(stdout, s.batch.head*uint64(s.batch.perBatch)); err != nil { //nolint:gosec // small
				return err
			}
			s.mode.CompareAndSwap(stopping, quiet)
		}
		if err := s.poll(timeout); err != nil {
			return err
		}
	}
}

// rest is how many milliseconds may pass until the next batch, -1: any number.
func (s *server) rest() int {
	if s.every == 0 || s.mode.Load() != writing {
		return -1
	}
	return int(max(time.Until(s.due).Milliseconds(), 0)) + 1
}

// isDue tells whether it is time for the next batch, and when the one behind it
// is. Batches that were missed are not made up for.
func (s *server) isDue() bool {
	if s.every == 0 {
		return true
	}
	now := time.Now()
	if now.Before(s.due) {
		return false
	}
	if s.due = s.due.Add(s.every); s.due.Before(now) {
		s.due = now.Add(s.every)
	}
	return true
}

// poll handles what epoll reports within timeout milliseconds, -1 for ever.
func (s *server) poll(timeout int) error {
	n, err := unix.EpollWait(s.epfd, s.events[:], timeout)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("epoll_wait: %w", err)
	}
	for i := range max(n, 0) {
		s.event(&s.events[i])
	}
	return nil
}

// work writes what is to be written now; false if nothing was.
func (s *server) work(m mode) bool {
	return m != quiet && s.advance(m == writing && s.isDue())
}

// advance begins a batch if the ring has space, and writes to every connection
// that takes it; false if none did.
func (s *server) advance(begin bool) bool {
	if begin && s.batch.space() {
		s.batch.begin(len(s.ready))
	}
	progress := false
	for _, c := range s.ready {
		for !c.blocked && c.next < s.batch.head {
			s.write(c)
			progress = true
		}
	}
	return progress
}

// write sends the rest of the connection's next batch.
func (s *server) write(c *conn) {
	n, errno := s.batch.writev(c.fd, c.next, c.done)
	switch {
	case errno == unix.EAGAIN:
		c.blocked = true
		s.watch(c, unix.EPOLLIN|unix.EPOLLOUT)
		return
	case errno != 0:
		c.next, c.done = s.batch.leave(c.next), 0 // gone; epoll reports it
		return
	}
	if c.done += n; c.done == s.batch.size(c.next) {
		s.batch.wrote(c.next)
		c.next, c.done = c.next+1, 0
	}
}

func (s *server) watch(c *conn, events uint32) {
	ev := unix.EpollEvent{Events: events, Fd: int32(c.fd)} //nolint:gosec // a descriptor
	_ = unix.EpollCtl(s.epfd, unix.EPOLL_CTL_MOD, c.fd, &ev)
}

func (s *server) close() {
	for _, c := range s.conns {
		if c != nil {
			_ = unix.Close(c.fd)
		}
	}
	_ = unix.Close(s.lfd)
	_ = unix.Close(s.epfd)
	_ = unix.Close(s.wake)
}
