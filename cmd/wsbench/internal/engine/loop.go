//go:build linux

package engine

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	readSize  = 256 << 10
	maxEvents = 512
	idleTick  = 20 * time.Millisecond // unless Config says otherwise
)

// Loop is one event loop with its share of the connections.
type Loop struct {
	Counters Counters
	clock    Clock
	cfg      *Config
	h        Handler

	// Owned by run.
	epfd, wake int
	conns      []Conn
	buf        []byte // read buffer, with space for what is carried over in front
	wbuf       []byte // for frames that are written at once
	rnd        *rand.PCG
	free       []*spill
	dial       dialer
	now        int64
	local      struct{ bytes, reads, pings int64 }
	events     [maxEvents]unix.EpollEvent
	noPwait2   bool

	mu     sync.Mutex
	posted []func() // Guarded by mu.
	stop   bool     // Guarded by mu.
}

func newLoop(cfg *Config, id, conns int, h Handler) (*Loop, error) {
	l := &Loop{
		clock: cfg.Clock, cfg: cfg, h: h,
		conns: make([]Conn, conns),
		buf:   make([]byte, readSize),
		rnd:   rand.NewPCG(rand.Uint64(), rand.Uint64()), //nolint:gosec // masks of a load generator
	}
	for i := range l.conns {
		l.conns[i] = Conn{Index: int32(i*cfg.Threads + id), Slot: int32(i), fd: -1} //nolint:gosec // small
		if !cfg.First {
			l.conns[i].to = uint8((cfg.Begin + int(l.conns[i].Index)) % len(cfg.Targets)) //nolint:gosec // at most 256
		}
	}
	l.dial.init(cfg)
	var err error
	if l.epfd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	if l.wake, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		return nil, errors.Join(fmt.Errorf("eventfd: %w", err), unix.Close(l.epfd))
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: -1}
	if err = unix.EpollCtl(l.epfd, unix.EPOLL_CTL_ADD, l.wake, &ev); err != nil {
		return nil, errors.Join(fmt.Errorf("epoll_ctl: %w", err), unix.Close(l.wake), unix.Close(l.epfd))
	}
	return l, nil
}

// Conns are the loop's connections, by slot. Only for the Handler.
func (l *Loop) Conns() []Conn { return l.conns }

// Now is the clock's time at the beginning of this batch of events.
func (l *Loop) Now() int64 { return l.now }

// Pinged counts a heartbeat that the handler answers. Only for the Handler.
func (l *Loop) Pinged() { l.local.pings++ }

// Post has f run by the loop soon. f is dropped if the loop has ended.
func (l *Loop) Post(f func()) {
	l.mu.Lock()
	l.posted = append(l.posted, f)
	l.mu.Unlock()
	l.Wake()
}

// Wake makes the loop tick soon. Anyone may call it while the loop runs.
func (l *Loop) Wake() {
	one := [8]byte{1}
	_, _ = unix.Write(l.wake, one[:]) // EAGAIN: it is awake already
}

func (l *Loop) end() {
	l.mu.Lock()
	l.stop = true
	l.mu.Unlock()
	l.Wake()
}

// run works until end was called, then cuts what is left.
func (l *Loop) run() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer l.release()
	next := int64(0)
	last := l.clock.Now()
	for {
		waited, n, err := l.wait(next)
		if err != nil {
			return fmt.Errorf("epoll_wait: %w", err)
		}
		l.now = l.clock.Now()
		for i := range n {
			l.event(&l.events[i])
		}
		if l.runPosted() {
			return nil
		}
		l.dial.tick(l)
		next = l.h.Tick(l.now)
		if due := l.dial.due(l); due != 0 {
			next = earlier(next, due)
		}
		l.account(&last, waited)
	}
}

func earlier(a, b int64) int64 {
	if a == 0 || b < a {
		return b
	}
	return a
}

// wait returns events and how long it had to wait for them. It asks without
// waiting first: while there is work, the scheduler need not know of the
// system call.
func (l *Loop) wait(next int64) (waited int64, n int, err error) {
	if n = l.poll(); n != 0 {
		return 0, max(n, 0), nil
	}
	timeout := int64(l.cfg.idleTick())
	begin := l.clock.Now()
	if next != 0 {
		timeout = min(timeout, next-begin)
	}
	if timeout <= 0 {
		return 0, 0, nil
	}
	n, err = l.block(timeout)
	if errors.Is(err, unix.EINTR) {
		n, err = 0, nil
	}
	if d := l.gather(); d > 0 && n > 0 && n < maxEvents/4 {
		time.Sleep(d)
		n = l.poll() // what there was is told again
	}
	return l.clock.Now() - begin, max(n, 0), err
}

// dialGather is how many times as long as otherwise a loop gathers while it
// dials: nobody measures then, and the steps of a few handshakes at a time would
// wake every process all the time.
const dialGather = 4

func (l *Loop) gather() time.Duration {
	if l.dial.next < l.dial.until {
		return dialGather * l.cfg.Gather
	}
	return l.cfg.Gather
}

func (l *Loop) runPosted() (stop bool) {
	l.mu.Lock()
	posted := l.posted
	l.posted, stop = nil, l.stop
	l.mu.Unlock()
	for _, f := range posted {
		f()
	}
	return stop
}

// account moves this batch's figures to where others see them.
func (l *Loop) account(last *int64, waited int64) {
	now := l.clock.Now()
	l.Counters.BusyNanos.Add(max(now-*last-waited, 0))
	l.Counters.WaitNanos.Add(waited)
	*last = now
	if l.local.reads != 0 {
		l.Counters.BytesRead.Add(l.local.bytes)
		l.Counters.Reads.Add(l.local.reads)
		l.Counters.Pings.Add(l.local.pings)
		l.local.bytes, l.local.reads, l.local.pings = 0, 0, 0
	}
}

func (l *Loop) release() {
	for i := range l.conns {
		if c := &l.conns[i]; c.state != idle {
			l.finish(c, Closure{Code: 1006, Ours: true})
		}
	}
	_ = unix.Close(l.wake)
	_ = unix.Close(l.epfd)
}
