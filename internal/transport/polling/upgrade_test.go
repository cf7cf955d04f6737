package polling

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestASessionMovesToAWebSocket(t *testing.T) {
	r := newRig(t, Config{})
	r.receive = echo
	c := r.connect()
	s := r.dial(c.sid)
	held := c.poll()
	s.send("2probe")
	s.expect("3probe")
	expectAnswer(t, held, "6")
	c.expectGet("6") // one that came after the probe
	c.expectPost("4posted")
	c.expectGet("4posted")
	s.send("5")
	s.send("4hello")
	s.expect("4hello")
	for _, got := range []result{c.get(), c.post("4late")} {
		if got.status != http.StatusBadRequest || !strings.HasPrefix(got.body, `{"code":3,`) {
			t.Errorf("%+v", got)
		}
	}
	if st := r.Stats(); st.Upgraded != 1 || st.Polling != 0 || st.Sessions != 1 || st.UpgradesFailed != 0 {
		t.Errorf("%+v", st)
	}
	c.conn.Close(wire.Close{Code: wire.CloseServiceRestart})
	if code := s.expectEnd(); code != websocket.StatusServiceRestart {
		t.Errorf("closed with %d", code)
	}
	c.expectClosed(t, wire.CloseServiceRestart)
	c.expectGone()
}

func TestWhatIsQueuedGoesToTheWebSocketFirst(t *testing.T) {
	r := newRig(t, Config{})
	c := r.connect()
	s := r.dial(c.sid)
	s.send("2probe")
	s.expect("3probe")
	c.conn.SendAll([]*wire.Frame{textFrame("a"), textFrame("b")})
	s.send("5")
	s.expect("4a")
	s.expect("4b")
	c.conn.Send(textFrame("c"))
	s.expect("4c")
}

func TestASecondWebSocketIsClosed(t *testing.T) {
	r := newRig(t, Config{})
	r.receive = echo
	c := r.connect()
	s := r.dial(c.sid)
	s.send("2probe")
	s.expect("3probe")
	if code := r.dial(c.sid).expectEnd(); code != websocket.StatusPolicyViolation {
		t.Errorf("while the first is probed: %d", code)
	}
	s.send("5")
	s.send("4a")
	s.expect("4a")
	if code := r.dial(c.sid).expectEnd(); code != websocket.StatusPolicyViolation {
		t.Errorf("after the upgrade: %d", code)
	}
	s.send("4b")
	s.expect("4b")
	_, _, o := r.dialNew()
	if code := r.dial(o.SID).expectEnd(); code != websocket.StatusPolicyViolation {
		t.Errorf("for a session on a websocket: %d", code)
	}
}

func TestAPollBehindTheUpgradeIsRefusedThoughItComesFirst(t *testing.T) {
	r := newRig(t, Config{})
	c := r.connect()
	s := r.dial(c.sid)
	s.send("2probe")
	s.expect("3probe")
	held := c.poll()
	s.send("5")
	if got := take(t, held); got.status != http.StatusBadRequest && got.body != "6" { // "6": it took 100 ms to get here
		t.Errorf("%+v", got)
	}
	c.conn.Send(textFrame("a"))
	s.expect("4a")
}

func TestAFailedUpgradeLeavesTheSessionPolling(t *testing.T) {
	r := newRig(t, Config{})
	for name, fail := range map[string]func(s socket){
		"a message before the upgrade": func(s socket) { s.send("4early"); s.expectEnd() },
		"binary before the upgrade": func(s socket) {
			_ = s.Write(s.r.ctx(), websocket.MessageBinary, []byte("2probe"))
			s.expectEnd()
		},
		"another probe":       func(s socket) { s.send("2prob"); s.expectEnd() },
		"the peer closes":     func(s socket) { _ = s.Close(websocket.StatusNormalClosure, "") },
		"the peer is cut":     func(s socket) { _ = s.CloseNow() },
		"a message behind it": func(s socket) { s.send("2probe"); s.expect("3probe"); s.send("4early"); s.expectEnd() },
	} {
		t.Run(name, func(t *testing.T) {
			c := r.connect()
			failed := r.Stats().UpgradesFailed
			fail(r.dial(c.sid))
			until(t, "it is noticed", func() bool { return r.Stats().UpgradesFailed > failed })
			c.expectPost("4on")
			c.expect(t, "on")
			c.conn.Send(textFrame("on"))
			c.expectGet("4on")
			if len(c.messages)+len(c.closed) != 0 {
				t.Error("the session took something")
			}
			c.upgrade()
		})
	}
}

func TestAnUpgradeHasTenSeconds(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, r *rig) {
		c := r.connect()
		begin := time.Now()
		s := r.dial(c.sid)
		s.send("2probe")
		s.expect("3probe")
		s.expectEnd()
		expectTime(t, "end", begin, 10*time.Second, 100*time.Millisecond)
		c.conn.Send(textFrame("on"))
		c.expectGet("4on")
	})
}

func TestAnUpgradeWaitsForThePostThatCameFirst(t *testing.T) {
	r := newRig(t, Config{})
	r.receive = func(p *peer, m message) bool { p.messages <- m; return !strings.HasPrefix(m.payload, "hold") }
	c := r.connect()
	s := r.dial(c.sid)
	s.send("2probe")
	s.expect("3probe")
	body, feed := io.Pipe()
	posted := make(chan result, 1)
	go func() { posted <- r.do(r.ctx(), http.MethodPost, c.url, body) }()
	_, _ = feed.Write([]byte("4hold on"))
	e := r.find(c.sid)
	until(t, "the post is under way", func() bool { e.mu.Lock(); defer e.mu.Unlock(); return e.polls.post != nil })
	s.send("5")
	s.send("4by websocket")
	until(t, "the upgrade waits", func() bool { e.mu.Lock(); defer e.mu.Unlock(); return e.polls.upgrading })
	_, _ = feed.Write([]byte("\x1e4second"))
	_ = feed.Close()
	c.expect(t, "hold on")
	if len(c.messages) != 0 {
		t.Errorf("%v overtook", <-c.messages)
	}
	c.conn.Resume()
	c.expect(t, "second")
	c.expect(t, "by websocket")
	if got := take(t, posted); got.body != "ok" {
		t.Errorf("%+v", got)
	}
}

// TestNothingIsLostOrReorderedByAnUpgrade upgrades as the reference client
// does, while both sides talk.
func TestNothingIsLostOrReorderedByAnUpgrade(t *testing.T) {
	const messages, sessions = 300, 8
	r := newRig(t, Config{})
	r.open = func(p *peer) { p.messages = make(chan message, messages) }
	done := make(chan error, sessions)
	for range sessions {
		c := r.connect()
		go func() {
			for i := range messages {
				c.conn.Send(textFrame(fmt.Sprint(i)))
				if i%10 == 0 {
					time.Sleep(time.Millisecond)
				}
			}
		}()
		go func() { done <- c.talk(messages) }()
	}
	for range sessions {
		if err := take(t, done); err != nil {
			t.Error(err)
		}
	}
}

// talk sends and receives so many messages; a third of each by polling.
func (c *client) talk(messages int) error {
	var got []string
	read := func() error {
		res := c.get()
		if res.status != http.StatusOK {
			return fmt.Errorf("poll: %+v", res)
		}
		for packet := range strings.SplitSeq(res.body, "\x1e") {
			if packet != "6" {
				got = append(got, packet)
			}
		}
		return nil
	}
	sent := 0
	for ; sent < messages/3; sent++ {
		if res := c.post(fmt.Sprintf("4%d", sent)); res.status != http.StatusOK {
			return fmt.Errorf("post: %+v", res)
		}
		if len(got) < messages/3 {
			if err := read(); err != nil {
				return err
			}
		}
	}
	s := c.r.dial(c.sid)
	s.send("2probe")
	polled := make(chan error, 1)
	go func() { polled <- read() }() // in flight when the probe is answered
	s.expect("3probe")
	if err := <-polled; err != nil {
		return err
	}
	s.send("5")
	for ; sent < messages; sent++ {
		s.send(fmt.Sprintf("4%d", sent))
	}
	for len(got) < messages {
		got = append(got, s.read())
	}
	for i := range messages {
		if want := fmt.Sprintf("4%d", i); got[i] != want {
			return fmt.Errorf("message %d to the client is %q", i, got[i])
		}
		select {
		case m := <-c.messages:
			if m.payload != fmt.Sprint(i) {
				return fmt.Errorf("message %d to the handler is %q", i, m.payload)
			}
		case <-time.After(patience):
			return fmt.Errorf("message %d to the handler is lost", i)
		}
	}
	return nil
}
