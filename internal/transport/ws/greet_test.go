package ws

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestWhatTheHandlerSaysFirstFollowsTheAnswerToTheUpgrade(t *testing.T) {
	eachMode(t, Config{}, func(t *testing.T, r *rig) {
		long := strings.Repeat("x", 200_000) // more than one write takes
		r.open = func(p *peer) {
			p.conn.Send(textFrame("first"))
			p.conn.Send(textFrame(long))
			p.conn.Send(textFrame("last"))
		}
		c, p := r.connect()
		c.expect(0x81, "first")
		c.expect(0x81, long)
		c.expect(0x81, "last")
		p.conn.Send(textFrame("later"))
		c.expect(0x81, "later")
	})
}

func TestAHandlerThatClosesAtOnceIsHeardBehindTheAnswer(t *testing.T) {
	eachMode(t, Config{}, func(t *testing.T, r *rig) {
		r.open = func(p *peer) {
			p.conn.Send(textFrame("no"))
			p.conn.Close(wire.Close{Code: 4001})
		}
		c, p := r.connect()
		c.expect(0x81, "no")
		c.expectClose(4001)
		_ = c.Close()
		take(t, p.closed)
	})
}

func TestAHandlerThatAbortsAtOnceEndsOnce(t *testing.T) {
	eachMode(t, Config{}, func(t *testing.T, r *rig) {
		r.open = func(p *peer) { p.conn.Abort() }
		c := r.raw()
		c.write([]byte(upgrade + "\r\n"))
		p := take(t, r.peers)
		if why := take(t, p.closed); why.Code != wire.CloseAbnormal {
			t.Errorf("ended with %v", why)
		}
	})
}

func TestAHandlerThatIsSlowToOpenHoldsUpNoAnswer(t *testing.T) {
	eachMode(t, Config{}, func(t *testing.T, r *rig) {
		opened := make(chan struct{})
		release := sync.OnceFunc(func() { close(opened) })
		defer release()
		r.open = func(p *peer) {
			p.conn.Send(textFrame("first"))
			<-opened
			p.conn.Send(textFrame("second"))
		}
		c := r.raw()
		c.write(append([]byte(upgrade+"\r\n"), text("early")...))
		res, err := http.ReadResponse(c.br, nil)
		if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
			t.Fatal(res, err)
		}
		c.expect(0x81, "first")
		release()
		c.expect(0x81, "second")
		if m := take(t, take(t, r.peers).messages); m.payload != "early" {
			t.Errorf("received %v", m)
		}
	})
}

// Replies to what came together are written together, and all of them are,
// however many.
func TestRepliesToManyMessagesAtOnceComeInOrder(t *testing.T) {
	eachMode(t, Config{SendQueueBytes: 256 << 10}, func(t *testing.T, r *rig) {
		const messages = 200
		padding := strings.Repeat("y", 512)
		r.receive = func(p *peer, m message) bool { return p.conn.Send(textFrame(m.payload + padding)) }
		c, _ := r.connect()
		var all []byte
		for i := range messages {
			all = append(all, text(fmt.Sprint("message ", i))...)
		}
		for range 5 {
			c.write(all)
			for i := range messages {
				c.expect(0x81, fmt.Sprint("message ", i)+padding)
			}
		}
	})
}

func TestRepliesAreWrittenBeforeAHandlerHolds(t *testing.T) {
	eachMode(t, Config{}, func(t *testing.T, r *rig) {
		r.receive = func(p *peer, m message) bool {
			p.conn.Send(textFrame("to " + m.payload))
			return m.payload != "hold"
		}
		c, p := r.connect()
		c.write(append(append(text("a"), text("hold")...), text("b")...))
		c.expect(0x81, "to a")
		c.expect(0x81, "to hold")
		p.conn.Send(textFrame("meanwhile"))
		c.expect(0x81, "meanwhile")
		p.conn.Resume()
		c.expect(0x81, "to b")
	})
}
