package e2e

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// balancer forwards TCP connections to the first of its gateways that takes
// them, as a load balancer does that prefers one.
type balancer struct {
	listener net.Listener
	to       []string // host:port
	running  sync.WaitGroup

	mu    sync.Mutex
	over  bool                  // guarded by mu
	conns map[net.Conn]struct{} // guarded by mu: open
}

// balance runs a balancer until the test ends.
func balance(t *testing.T, to ...string) *balancer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &balancer{listener: l, to: to, conns: map[net.Conn]struct{}{}}
	b.running.Go(b.accept)
	t.Cleanup(func() {
		_ = l.Close()
		b.mu.Lock()
		b.over = true
		for c := range b.conns {
			_ = c.Close()
		}
		b.mu.Unlock()
		b.running.Wait()
	})
	return b
}

func (b *balancer) address() string { return b.listener.Addr().String() }

func (b *balancer) accept() {
	for {
		c, err := b.listener.Accept()
		if err != nil {
			return
		}
		b.running.Go(func() { b.forward(c) })
	}
}

// forward serves one connection until either side ends it.
func (b *balancer) forward(client net.Conn) {
	defer b.hold(client)()
	for _, address := range b.to {
		gateway, err := net.DialTimeout("tcp", address, 5*time.Second)
		if err != nil {
			continue // it is dead
		}
		defer b.hold(gateway)()
		var back sync.WaitGroup
		back.Go(func() { pipe(client, gateway) })
		pipe(gateway, client)
		back.Wait()
		return
	}
}

// pipe copies one direction, and ends both with it.
func pipe(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	_ = to.Close()
	_ = from.Close()
}

// hold has the end of the test close a connection, unless the returned function
// is called before.
func (b *balancer) hold(c net.Conn) (release func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		_ = c.Close()
	}
	b.conns[c] = struct{}{}
	return func() {
		_ = c.Close()
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.conns, c)
	}
}
