package link

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// pair is one connection of a client and the one to the server that belongs
// to it.
type pair struct {
	link   *Link
	client *net.TCPConn

	mu     sync.Mutex
	server *net.TCPConn  // guarded by mu; nil until it is open
	over   bool          // guarded by mu
	done   chan struct{} // closed when over
}

// cut ends both connections with a reset. Idempotent.
func (p *pair) cut() { p.end(true) }

// end closes both connections, after a reset without what they still hold.
// Idempotent: the first call decides.
func (p *pair) end(reset bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return
	}
	p.over = true
	close(p.done)
	for _, c := range []*net.TCPConn{p.client, p.server} {
		if c == nil {
			continue
		}
		if reset {
			_ = c.SetLinger(0)
		}
		_ = c.Close()
	}
}

// carry opens the connection to the server and serves both until they end.
func (p *pair) carry() {
	defer p.link.forget(p)
	defer p.cut()
	defer context.AfterFunc(p.link.ctx, p.cut)() // accepted while the link was closed
	open := func(s Shape) bool { return !s.Silent[ToServer] && !s.Silent[ToClient] }
	if _, ok := p.link.passable(p.done, open); !ok {
		return
	}
	server, ok := p.dial()
	if !ok {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.pump(ToServer, p.client, server) })
	both.Go(func() { p.pump(ToClient, server, p.client) })
	both.Wait()
	p.end(false) // both directions have ended by themselves, or it was cut before
}

func (p *pair) dial() (*net.TCPConn, bool) {
	p.link.mu.Lock()
	target := p.link.target
	p.link.mu.Unlock()
	if target == "" {
		return nil, false
	}
	var d net.Dialer
	c, err := d.DialContext(p.link.ctx, "tcp", target)
	if err != nil {
		return nil, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		_ = c.Close()
		return nil, false
	}
	p.server = c.(*net.TCPConn)
	return p.server, true
}

// chunk is what was read at once, or the end of a direction.
type chunk struct {
	bytes []byte // nil: the end
	due   time.Time
}

// pump carries one direction. What was read waits in a bounded queue, so a
// silent link pushes back on its sender once buffers are full.
func (p *pair) pump(d Direction, from, to *net.TCPConn) {
	queue := make(chan chunk, 64)
	var reading sync.WaitGroup
	reading.Go(func() { p.read(from, queue) })
	p.write(d, to, queue)
	reading.Wait()
}

func (p *pair) read(from *net.TCPConn, queue chan<- chunk) {
	defer close(queue)
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if n == 0 && err == nil {
			continue
		}
		s, _ := p.link.now()
		due := time.Now().Add(s.Delay)
		if s.Jitter > 0 {
			due = due.Add(rand.N(s.Jitter))
		}
		for _, c := range chunks(buf[:n], err != nil, due) {
			select {
			case queue <- c:
			case <-p.done:
				return
			}
		}
		if err != nil {
			return // the end, or a reset, which the writer passes on as an end
		}
	}
}

// chunks are the bytes read, and the end behind them.
func chunks(b []byte, end bool, due time.Time) []chunk {
	var out []chunk
	if len(b) > 0 {
		out = append(out, chunk{append([]byte{}, b...), due})
	}
	if end {
		out = append(out, chunk{nil, due})
	}
	return out
}

// write passes a direction on. When it fails, or the direction has ended, the
// other one is told.
func (p *pair) write(d Direction, to *net.TCPConn, queue <-chan chunk) {
	for c := range queue {
		s, ok := p.until(c.due, d)
		switch {
		case !ok:
			return
		case c.bytes == nil:
			_ = to.CloseWrite()
		case s.Slice:
			ok = p.slice(d, to, c.bytes)
		default:
			_, err := to.Write(c.bytes)
			ok = err == nil
		}
		if !ok {
			p.cut()
			return
		}
	}
}

// until waits for a time and for a direction that passes.
func (p *pair) until(due time.Time, d Direction) (Shape, bool) {
	if wait := time.Until(due); wait > 0 && !p.pause(wait) {
		return Shape{}, false
	}
	return p.link.passable(p.done, func(s Shape) bool { return !s.Silent[d] })
}

func (p *pair) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-p.done:
		return false
	}
}

// slice writes bytes one by one, as long as the link is shaped so.
func (p *pair) slice(d Direction, to *net.TCPConn, b []byte) bool {
	const run = 256
	for len(b) > 0 {
		s, ok := p.until(time.Time{}, d)
		if !ok {
			return false
		}
		if !s.Slice {
			_, err := to.Write(b)
			return err == nil
		}
		n := min(run, len(b))
		for i := range n {
			if _, err := to.Write(b[i : i+1]); err != nil {
				return false
			}
		}
		if b = b[n:]; !p.pause(time.Millisecond) {
			return false
		}
	}
	return true
}
