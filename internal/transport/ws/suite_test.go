package ws

import (
	"strings"
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestMessagesComeAndGoInOrder(t *testing.T) {
	eachMode(t, Config{}, func(t *testing.T, r *rig) {
		r.receive = func(p *peer, m message) bool { return p.conn.Send(textFrame(m.payload)) }
		c, p := r.connect()
		for i := range 100 {
			c.write(text(name(i)))
		}
		for i := range 100 {
			c.expect(fin|opText, name(i))
		}
		big := strings.Repeat("x", 60_000)
		c.write(text(big))
		c.expect(fin|opText, big)
		c.write(closing(1000, "bye"))
		c.expectClose(1000)
		c.expectEnd()
		if why := take(t, p.closed); why != (wire.Close{Code: 1000, Reason: "bye"}) {
			t.Errorf("closed with %v", why)
		}
		if s := r.Stats(); s.MessagesIn != 101 || s.ClosedByPeer != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestAMessageMaySpanSeveralReads(t *testing.T) {
	eachMode(t, Config{}, func(t *testing.T, r *rig) {
		c, p := r.connect()
		want := strings.Repeat("spans reads ", 300)
		all := concat(masked(opText, want[:7]), masked(opContinuation, want[7:1000]), masked(fin|opContinuation, want[1000:]), text("next"))
		for len(all) > 0 {
			n := min(len(all), 37)
			c.write(all[:n])
			all = all[n:]
			_ = r.Stats()
		}
		p.expect(t, want)
		p.expect(t, "next")
	})
}

func TestEveryByteAlone(t *testing.T) {
	eachMode(t, Config{}, func(t *testing.T, r *rig) {
		c, p := r.connect()
		for _, b := range concat(masked(opText, "ab"), masked(fin|opPing, "p"), masked(fin|opContinuation, "cd")) {
			c.write([]byte{b})
		}
		c.expect(fin|opPong, "p")
		p.expect(t, "abcd")
	})
}

func TestDataBufferedAtTheUpgradeIsNotLost(t *testing.T) {
	eachMode(t, Config{}, func(t *testing.T, r *rig) {
		for range 20 {
			c, p := r.connect(concat(text("first"), text("second")[:5])...)
			p.expect(t, "first")
			c.write(text("second")[5:])
			p.expect(t, "second")
		}
	})
}

func TestServerCloseIsAnsweredAndEnds(t *testing.T) {
	eachMode(t, Config{}, func(t *testing.T, r *rig) {
		c, p := r.connect()
		p.conn.Send(textFrame("last words"))
		p.conn.Close(wire.Close{Code: wire.CloseServiceRestart, Reason: "drain"})
		if p.conn.Send(textFrame("too late")) {
			t.Error("a frame was queued behind the close frame")
		}
		c.expect(fin|opText, "last words")
		c.expectClose(wire.CloseServiceRestart)
		c.write(closing(wire.CloseServiceRestart, ""))
		c.expectEnd()
		p.expectClosed(t, wire.CloseServiceRestart)
	})
}

func TestAbortCutsAtOnce(t *testing.T) {
	eachMode(t, Config{}, func(t *testing.T, r *rig) {
		c, p := r.connect()
		p.conn.Abort()
		p.conn.Abort()
		c.expectEnd()
		p.expectClosed(t, wire.CloseAbnormal)
	})
}
