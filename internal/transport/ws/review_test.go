package ws

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// scripted is a socket whose writes a test decides.
type scripted struct {
	netSocket
	onWrite func(segs [][]byte) (int, error)
}

func (s *scripted) write(segs [][]byte) (int, error) { return s.onWrite(segs) }
func (*scripted) arm(*conn, bool, bool) error        { return nil }
func (*scripted) closeWrite() bool                   { return true }
func (*scripted) cut(bool)                           {}

func sizeOf(segs [][]byte) (n int) {
	for _, p := range segs {
		n += len(p)
	}
	return n
}

// scriptedConn is a connection whose writer is the test (parked), or a
// goroutine as always.
func (r *rig) scriptedConn(parked bool, onWrite func(c *conn, segs [][]byte) (int, error)) *conn {
	c := r.newConn(&hijackWriter{nc: discardConn{}})
	c.parked = parked
	c.sock = &scripted{onWrite: func(segs [][]byte) (int, error) { return onWrite(c, segs) }}
	return c
}

// TestAPeerThatKeepsUpIsNotBlamedForAFullWindow writes without a pause for
// longer than the write timeout; then the window is full for a moment.
func TestAPeerThatKeepsUpIsNotBlamedForAFullWindow(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, r *rig) {
		full := false
		c := r.scriptedConn(true, func(c *conn, segs [][]byte) (int, error) {
			if full {
				return 0, errAgain
			}
			c.Send(textFrame("more"))
			return sizeOf(segs), nil
		})
		c.Send(textFrame("first"))
		b := newBatch()
		for range 60 {
			c.flush(b)
			time.Sleep(time.Second)
		}
		full = true
		c.flush(b)
		time.Sleep(10 * time.Second)
		if c.isDead() {
			t.Fatalf("cut after ten seconds: %v", c.why)
		}
		time.Sleep(21 * time.Second)
		if !c.isDead() || c.why.Code != wire.CloseTooSlow {
			t.Errorf("not cut after the write timeout: %v", c.why)
		}
	})
}

func (c *conn) isDead() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dead
}

func TestWhatWaitsForAFullWindowIsNotPending(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, r *rig) {
		c := r.scriptedConn(true, func(c *conn, _ [][]byte) (int, error) {
			c.Send(textFrame("queued while a write is in progress"))
			return 0, errAgain
		})
		c.Send(textFrame("first"))
		c.flush(newBatch())
		if n := r.pending(); n != 0 {
			t.Errorf("%d bytes are pending", n)
		}
		c.Abort()
	})
}

// TestPaceDoesNotWaitForAWriteThatHangs: the last pending bytes are taken by a
// writer which then hangs in its write.
func TestPaceDoesNotWaitForAWriteThatHangs(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, r *rig) {
		gate := make(chan struct{})
		c := r.scriptedConn(false, func(_ *conn, segs [][]byte) (int, error) {
			<-gate
			return sizeOf(segs), nil
		})
		c.mu.Lock()
		c.fresh = paceBytes + 1
		c.mu.Unlock()
		c.shard.pending.Add(paceBytes + 1)
		paced := make(chan error, 1)
		go func() { paced <- r.Pace(t.Context()) }()
		synctest.Wait()
		if len(paced) != 0 {
			t.Fatal("Pace did not wait")
		}
		c.Send(textFrame("x"))
		synctest.Wait()
		if len(paced) == 0 {
			t.Error("Pace waits for a slow peer")
		}
		close(gate)
		if err := <-paced; err != nil {
			t.Error(err)
		}
		c.Abort()
	})
}

func TestPaceEndsWithItsContextAndTheServer(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, r *rig) {
		r.flushers[0].pending.Add(paceBytes + 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Pace(ctx); err == nil {
			t.Error("Pace did not wait")
		}
		go func() {
			time.Sleep(time.Second)
			_ = r.Shutdown(t.Context())
		}()
		if err := r.Pace(t.Context()); err != ErrClosed { //nolint:errorlint // exactly this one
			t.Error(err)
		}
		r.flushers[0].pending.Add(-paceBytes - 1)
	})
}

// TestABusyClientIsNotLate: at every moment some message is incomplete, but
// never the same one for long.
func TestABusyClientIsNotLate(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, r *rig) {
		c, p := r.connect()
		msg := text("never late")
		c.write(msg[:5])
		for range 60 {
			time.Sleep(time.Second)
			c.write(concat(msg[5:], msg[:5]))
			p.expect(t, "never late")
		}
		for range 60 { // and with control frames alone
			time.Sleep(time.Second)
			c.write(concat(msg[5:], masked(fin|opPong, "")[:3]))
			c.write(concat(masked(fin|opPong, "")[3:], msg[:5]))
			p.expect(t, "never late")
		}
		if len(p.closed) != 0 {
			t.Fatal(<-p.closed)
		}
		begin := time.Now()
		c.expectClose(wire.ClosePolicyViolation)
		if d := time.Since(begin); d < 14*time.Second || d > 16*time.Second {
			t.Errorf("late after %v", d)
		}
		_ = c.Close()
		p.expectClosed(t, wire.ClosePolicyViolation)
	})
}

// TestControlFramesDoNotMakeAMessageYounger: pings between its fragments do
// not extend a message's time.
func TestControlFramesDoNotMakeAMessageYounger(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, r *rig) {
		c, p := r.connect()
		c.write(masked(opText, "begun"))
		begin := time.Now()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for c.tryWrite(masked(fin|opPong, "")) == nil {
				time.Sleep(time.Second)
			}
		}()
		c.expectClose(wire.ClosePolicyViolation)
		if d := time.Since(begin); d < 15*time.Second || d > 16*time.Second {
			t.Errorf("late after %v", d)
		}
		_ = c.Close()
		p.expectClosed(t, wire.ClosePolicyViolation)
		<-done
	})
}

// TestASlowReaderThatMakesProgressIsNotCut takes 16 KiB every ten seconds.
func TestASlowReaderThatMakesProgressIsNotCut(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, r *rig) {
		c, p := r.connect()
		big := textFrame(strings.Repeat("b", 200<<10))
		p.conn.Send(big)
		buf := make([]byte, 16<<10)
		_ = c.SetReadDeadline(time.Time{})
		for left := len(big.WebSocket()); left > 0; {
			time.Sleep(10 * time.Second)
			n, err := io.ReadFull(c.br, buf[:min(left, len(buf))])
			if left -= n; err != nil {
				t.Fatalf("%d bytes before the end: %v", left, err)
			}
		}
		_ = c.Close()
		p.expectClosed(t, wire.CloseAbnormal)
	})
}

// TestATooSlowHeldConnectionStillReadsTheClose: the peer answers the close
// frame, though the handler held when the queue overflowed.
func TestATooSlowHeldConnectionStillReadsTheClose(t *testing.T) {
	cfg := Config{SendQueueBytes: 64 << 10, CloseTimeout: time.Hour}
	eachMode(t, cfg, func(t *testing.T, r *rig) {
		r.receive = func(p *peer, m message) bool { p.messages <- m; return false }
		c, p := r.connect(text("hold")...)
		p.expect(t, "hold")
		for p.conn.Send(textFrame(strings.Repeat("f", 32<<10))) {
			_ = r.Stats()
		}
		c.expectClose(wire.CloseTooSlow)
		c.write(closing(wire.CloseTooSlow, ""))
		p.expectClosed(t, wire.CloseTooSlow)
	})
}

// TestAPeerThatClosesAndDoesNotReadIsBounded: its window is full when its
// close frame comes.
func TestAPeerThatClosesAndDoesNotReadIsBounded(t *testing.T) {
	cfg := Config{SendQueueBytes: 64 << 20, CloseTimeout: 200 * time.Millisecond}
	eachMode(t, cfg, func(t *testing.T, r *rig) {
		c, p := r.connect()
		_ = c.Conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		for range 256 {
			p.conn.Send(textFrame(strings.Repeat("f", 64<<10)))
		}
		c.write(closing(1000, ""))
		p.expectClosed(t, 1000)
		until(t, "the socket is freed", func() bool { return r.Stats().Open == 0 })
	})
}

func TestFinalDeflateBlocksAreBounded(t *testing.T) {
	in := (&inflaters{}).get()
	if _, err := in.inflate([]byte(strings.Repeat("\x03\x00", 8)), 1<<16); err != nil {
		t.Error("a few final blocks:", err)
	}
	if _, err := in.inflate([]byte(strings.Repeat("\x03\x00", 1000)), 1<<16); err == nil {
		t.Error("a thousand final blocks were inflated")
	}
}
