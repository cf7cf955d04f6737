package link

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// Direction is one of the two in which bytes go.
type Direction int

// The directions, seen from who opens connections.
const (
	ToServer Direction = iota
	ToClient
	directions
)

// Shape is what a link does to the bytes that it carries. The zero Shape is a
// sound link.
type Shape struct {
	Silent [directions]bool // nothing passes in this direction
	Delay  time.Duration    // added in each direction
	Jitter time.Duration    // added at most, at random; the order stays
	Slice  bool             // bytes are passed on one by one, 256 a millisecond at most
}

// Link passes TCP connections on to a server. Safe for concurrent use. Close
// ends it and all that it carries.
type Link struct {
	listener net.Listener
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	running  sync.WaitGroup

	mu      sync.Mutex
	target  string             // guarded by mu; "" refuses
	shape   Shape              // guarded by mu
	changed chan struct{}      // guarded by mu; closed and replaced when shape changes
	pairs   map[*pair]struct{} // guarded by mu
	opened  int                // guarded by mu; connections so far
}

// Listen makes a link to a server, on a free port of this machine.
func Listen(target string) (*Link, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("link: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	link := &Link{
		listener: l, ctx: ctx, cancel: cancel,
		target: target, changed: make(chan struct{}), pairs: map[*pair]struct{}{},
	}
	link.running.Go(link.accept)
	return link, nil
}

// Addr is where the link listens.
func (l *Link) Addr() string { return l.listener.Addr().String() }

// Port is the port of Addr.
func (l *Link) Port() int { return l.listener.Addr().(*net.TCPAddr).Port }

// Close cuts everything and waits for it.
func (l *Link) Close() {
	l.cancel()
	_ = l.listener.Close()
	l.Reset()
	l.running.Wait()
}

// Target directs connections that are opened from now on; "" has them reset.
func (l *Link) Target(addr string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.target = addr
}

// Reset cuts the connections that there are, with a TCP reset to both ends.
func (l *Link) Reset() {
	l.mu.Lock()
	pairs := make([]*pair, 0, len(l.pairs))
	for p := range l.pairs {
		pairs = append(pairs, p)
	}
	l.mu.Unlock()
	for _, p := range pairs {
		p.cut()
	}
}

// Apply gives the link a shape, in place of the one before. Heal with the zero
// Shape.
func (l *Link) Apply(s Shape) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shape = s
	close(l.changed)
	l.changed = make(chan struct{})
}

// Open is how many connections the link carries now, Opened how many there
// were in all.
func (l *Link) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pairs)
}

// Opened is how many connections there were so far.
func (l *Link) Opened() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.opened
}

func (l *Link) accept() {
	for {
		c, err := l.listener.Accept()
		if err != nil {
			return // closed
		}
		p := &pair{link: l, client: c.(*net.TCPConn), done: make(chan struct{})}
		l.mu.Lock()
		l.pairs[p] = struct{}{}
		l.opened++
		l.mu.Unlock()
		l.running.Go(p.carry)
	}
}

func (l *Link) forget(p *pair) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.pairs, p)
}

func (l *Link) now() (Shape, chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.shape, l.changed
}

// passable waits until a shape lets through; false when done is closed first.
func (l *Link) passable(done <-chan struct{}, lets func(Shape) bool) (Shape, bool) {
	for {
		s, changed := l.now()
		if lets(s) {
			return s, true
		}
		select {
		case <-changed:
		case <-done:
			return s, false
		}
	}
}
