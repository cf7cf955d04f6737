package peer

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"time"
)

const (
	// tunnelBuffer is what a WebSocket's data is copied through, in bytes, in
	// each direction.
	tunnelBuffer = 4 << 10
	// lingerTime is how long one direction may go on after the other has ended.
	lingerTime = 2 * time.Second
)

var errLeaving = errors.New("this instance is going away")

// opened counts a WebSocket that is about to open.
func (f *Forwarder) opened(p *passage) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.leaving {
		return errLeaving
	}
	f.tunnels[p] = struct{}{}
	return nil
}

// closed counts it no longer.
func (f *Forwarder) closed(p *passage) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.tunnels, p)
}

// Leave ends the WebSockets that live by way of this instance, each at a time of
// its own within window, so that their clients do not all come back at once. New
// ones are refused; polls are still passed on. It does not wait.
func (f *Forwarder) Leave(window time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.leaving, f.leftBy = true, time.Now().Add(window)
	for p := range f.tunnels {
		p.timer.Reset(rand.N(max(window, 1))) //nolint:gosec // a spread, no secret
	}
}

// settleTick is how often Settle looks.
const settleTick = 20 * time.Millisecond

// Settle waits for those that Leave lets go, for as long as that has said.
func (f *Forwarder) Settle() {
	tick := time.NewTicker(settleTick)
	defer tick.Stop()
	for f.settling() {
		<-tick.C
	}
}

func (f *Forwarder) settling() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.tunnels) > 0 && time.Now().Before(f.leftBy)
}

// writer is what a client is answered with. A connection that becomes a
// WebSocket is handed out as a tunnel.
type writer struct {
	http.ResponseWriter
	passage *passage
	limit   time.Duration
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Hijack implements http.Hijacker.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := w.passage.rc.Hijack()
	if err != nil {
		return nil, nil, err
	}
	t := &tunnel{Conn: conn, passage: w.passage, limit: w.limit, stalled: time.AfterFunc(w.limit, w.passage.end)}
	t.stalled.Stop()
	w.passage.conn.Store(t)
	if n := rw.Reader.Buffered(); n > 0 { // of a client that did not wait for the answer
		early, _ := rw.Reader.Peek(n) // cannot fail: that much is buffered
		t.early = bytes.Clone(early)
	}
	const small = 16 // nothing more is read through them, and only the answer written
	return t, bufio.NewReadWriter(bufio.NewReaderSize(t, small), bufio.NewWriterSize(conn, small)), nil
}

// tunnel is a client's connection whose WebSocket is on another instance.
// httputil.ReverseProxy copies through ReadFrom and WriteTo, each on a goroutine
// of its own, with buffers of 4 KiB instead of 32. Neither waits forever: who
// does not take data within limit is cut, and when one direction has ended the
// other soon does.
type tunnel struct {
	net.Conn
	passage *passage
	limit   time.Duration
	stalled *time.Timer // ends the passage

	early []byte // owned by who reads: came before the connection was taken over
}

var (
	_ io.ReaderFrom = (*tunnel)(nil)
	_ io.WriterTo   = (*tunnel)(nil)
)

// Read implements net.Conn.
func (t *tunnel) Read(p []byte) (int, error) {
	if len(t.early) > 0 {
		n := copy(p, t.early)
		t.early = t.early[n:]
		return n, nil
	}
	return t.Conn.Read(p)
}

// WriteTo implements io.WriterTo: from the client to the other instance.
func (t *tunnel) WriteTo(w io.Writer) (int64, error) {
	return t.copy(t, func(p []byte) error {
		t.stalled.Reset(t.limit)
		defer t.stalled.Stop()
		_, err := w.Write(p)
		return err
	})
}

// ReadFrom implements io.ReaderFrom: from the other instance to the client.
func (t *tunnel) ReadFrom(r io.Reader) (int64, error) {
	return t.copy(r, func(p []byte) error {
		_ = t.SetWriteDeadline(time.Now().Add(t.limit))
		_, err := t.Write(p)
		return err
	})
}

// copy copies until the end of one side.
func (t *tunnel) copy(from io.Reader, write func([]byte) error) (total int64, err error) {
	buf := make([]byte, tunnelBuffer)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if err := write(buf[:n]); err != nil {
				return total, err
			}
			total += int64(n)
		}
		switch {
		case errors.Is(err, io.EOF):
			t.passage.timer.Reset(lingerTime)
			return total, nil
		case err != nil:
			return total, err
		}
	}
}

// CloseWrite tells the client that nothing more comes.
func (t *tunnel) CloseWrite() error {
	if c, ok := t.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}
