package roomlog

import (
	"bytes"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
)

// proxy stands between a gateway and Redis and can lose an answer: the
// connection breaks after Redis has executed the command.
type proxy struct {
	to   string
	lose atomic.Int32           // how many answers to lose
	mark atomic.Pointer[string] // what such an answer holds

	wg sync.WaitGroup
	mu sync.Mutex
	in []net.Conn // guarded by mu
}

// between starts a proxy to a server and returns the settings to use it.
func between(t testing.TB, s *redistest.Server) (*proxy, redisconn.Config) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{to: s.Addr()}
	p.wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.serve(in) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.cut()
		p.wg.Wait()
	})
	cfg := s.Config()
	cfg.Port = l.Addr().(*net.TCPAddr).Port
	return p, cfg
}

// loseAnswer makes the next n answers that hold the mark get lost.
func (p *proxy) loseAnswer(mark string, n int32) {
	p.mark.Store(&mark)
	p.lose.Store(n)
}

// cut breaks all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.in {
		_ = c.Close()
	}
	p.in = nil
}

func (p *proxy) serve(in net.Conn) {
	defer func() { _ = in.Close() }()
	p.mu.Lock()
	p.in = append(p.in, in)
	p.mu.Unlock()
	out, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer func() { _ = out.Close() }()
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = io.Copy(out, in)
		_ = out.Close()
	})
	p.answers(in, out)
	_ = in.Close()
	wg.Wait()
}

// answers hands answers over, except those to lose.
func (p *proxy) answers(in, out net.Conn) {
	buf := make([]byte, 64<<10)
	buf[0] = '\n'
	for {
		n, err := out.Read(buf[1:])
		if err != nil {
			return
		}
		// An answer begins a line, also when it begins what is read.
		if mark := p.mark.Load(); mark != nil && bytes.Contains(buf[:1+n], []byte(*mark)) && p.lose.Add(-1) >= 0 {
			return
		}
		if _, err := in.Write(buf[1 : 1+n]); err != nil {
			return
		}
	}
}
