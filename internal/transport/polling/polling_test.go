package polling

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestTheOpenPacketTellsTheSessionsLimits(t *testing.T) {
	r := newRig(t, Config{MaxPayload: 1_000_000})
	got := r.do(r.ctx(), http.MethodGet, base+"polling", nil)
	o := parseOpen(t, got.body)
	if len(o.Upgrades) != 1 || o.Upgrades[0] != "websocket" || o.PingInterval != 25000 || o.PingTimeout != 20000 || o.MaxPayload != 1_000_000 {
		t.Errorf("%+v", o)
	}
	if kind := got.header.Get("Content-Type"); kind != "text/plain; charset=UTF-8" || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", got.header)
	}
	_, _, o = r.dialNew()
	if o.Upgrades == nil || len(o.Upgrades) != 0 || o.PingInterval != 25000 || o.PingTimeout != 20000 || o.MaxPayload != 1_000_000 {
		t.Errorf("%+v", o)
	}
}

func TestWhatIsSentAtOnceComesWithTheHandshake(t *testing.T) {
	r := newRig(t, Config{})
	r.open = func(p *peer) { p.conn.Send(textFrame("welcome")) }
	got := r.do(r.ctx(), http.MethodGet, base+"polling", nil)
	if _, rest, _ := strings.Cut(got.body, "\x1e"); rest != "4welcome" {
		t.Errorf("%q", got.body)
	}
	c, _, _ := r.dialNew()
	c.expect("4welcome")
}

func TestRequestsThatFitNoSessionAreRefused(t *testing.T) {
	r := newRig(t, Config{})
	polling, onSocket := r.connect(), "&sid="
	_, _, o := r.dialNew()
	onSocket += o.SID
	known := "&sid=" + polling.sid
	upgrade := []string{
		"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==",
	}
	const path = "http://engine.test/engine.io/"
	for _, tc := range []struct {
		name, method, query string
		headers             []string
		code                int
	}{
		{"no transport", "GET", "?EIO=4", nil, 0},
		{"unknown transport", "GET", "?EIO=4&transport=abc", nil, 0},
		{"webtransport", "GET", "?EIO=4&transport=webtransport", nil, 0},
		{"unknown transport of a session", "GET", "?EIO=4&transport=abc" + known, nil, 0},
		{"unknown sid", "GET", "?EIO=4&transport=polling&sid=abc", nil, 1},
		{"unknown sid of a right length", "POST", "?EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAAAA", nil, 1},
		{"unknown sid to upgrade", "GET", "?EIO=4&transport=websocket&sid=abc", upgrade, 1},
		{"POST without a session", "POST", "?EIO=4&transport=polling", nil, 2},
		{"PUT without a session", "PUT", "?EIO=4&transport=polling", nil, 2},
		{"PUT with a session", "PUT", "?EIO=4&transport=polling" + known, nil, 3},
		{"websocket without an upgrade", "GET", "?EIO=4&transport=websocket", nil, 3},
		{"an upgrade to polling", "GET", "?EIO=4&transport=polling", upgrade, 3},
		{"websocket of a session without an upgrade", "GET", "?EIO=4&transport=websocket" + known, nil, 3},
		{"an upgrade of a session to polling", "GET", "?EIO=4&transport=polling" + known, upgrade, 3},
		{"another version of a session", "GET", "?EIO=3&transport=polling" + known, nil, 3},
		{"a poll of a session on a websocket", "GET", "?EIO=4&transport=polling" + onSocket, nil, 3},
		{"a post to a session on a websocket", "POST", "?EIO=4&transport=polling" + onSocket, nil, 3},
		{"no version", "GET", "?transport=polling", nil, 5},
		{"version 3", "GET", "?EIO=3&transport=polling", nil, 5},
		{"a version that is none", "GET", "?EIO=abc&transport=websocket", upgrade, 5},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := r.do(r.ctx(), tc.method, path+tc.query, nil, tc.headers...)
			if got.status != http.StatusBadRequest || !strings.HasPrefix(got.body, fmt.Sprintf(`{"code":%d,"message":"`, tc.code)) ||
				got.header.Get("Content-Type") != "application/json" {
				t.Errorf("%+v", got)
			}
		})
	}
	polling.expectPost("4still here")
	polling.expect(t, "still here")
}

func TestPayloadsComeBackAsTheyWere(t *testing.T) {
	r := newRig(t, Config{})
	r.receive = echo
	for name, body := range map[string]string{
		"text":            "4hello",
		"unicode":         "4€ 😀",
		"empty message":   "4",
		"several":         "4test1\x1e4test2\x1e4test3",
		"text and binary": "4hello\x1ebAQIDBA==",
		"only binary":     "bAA==\x1eb",
		"large":           "4" + strings.Repeat("x", 50_000) + "\x1e4" + strings.Repeat("y", 10_000),
	} {
		t.Run(name, func(t *testing.T) {
			c := r.connect()
			c.expectPost(body)
			c.expectGet(body)
		})
	}
}

func TestAPollIsAnsweredAsSoonAsThereIsSomething(t *testing.T) {
	r := newRig(t, Config{})
	c := r.connect()
	for i := range 20 {
		answer := c.poll()
		c.conn.Send(textFrame(fmt.Sprint(i)))
		expectAnswer(t, answer, fmt.Sprintf("4%d", i))
	}
	c.conn.SendAll([]*wire.Frame{textFrame("a"), frame(message{wire.Binary, "\x01\x02"}), textFrame("b")})
	c.expectGet("4a\x1ebAQI=\x1e4b")
}

func TestBinaryIsBinaryOnEitherTransport(t *testing.T) {
	r := newRig(t, Config{})
	r.receive = echo
	c, _, _ := r.dialNew()
	if err := c.Write(r.ctx(), websocket.MessageBinary, []byte{1, 2, 3, 4}); err != nil {
		t.Fatal(err)
	}
	kind, b, err := c.Read(r.ctx())
	if kind != websocket.MessageBinary || string(b) != "\x01\x02\x03\x04" || err != nil {
		t.Errorf("%v %q %v", kind, b, err)
	}
	c.send("bAQI=")
	if kind, b, err = c.Read(r.ctx()); kind != websocket.MessageBinary || string(b) != "\x01\x02" || err != nil {
		t.Errorf("base64 on a websocket: %v %q %v", kind, b, err)
	}
	c.send("4hello")
	c.expect("4hello")
}

func TestAMalformedPayloadEndsTheSession(t *testing.T) {
	r := newRig(t, Config{})
	for name, body := range map[string]string{
		"empty":              "",
		"unknown type":       "abc",
		"an empty packet":    "4good\x1e",
		"bad base64":         "b===",
		"not UTF-8":          "4\xff",
		"an open packet":     "0{}",
		"a ping":             "2",
		"behind good ones":   "4good\x1e4good\x1ezzz",
		"a client's 2probe ": "2probe",
	} {
		t.Run(name, func(t *testing.T) {
			c := r.connect()
			held := c.poll()
			if got := c.post(body); got.status != http.StatusBadRequest || !strings.HasPrefix(got.body, `{"code":3,`) {
				t.Errorf("%+v", got)
			}
			expectAnswer(t, held, "1")
			c.expectClosed(t, wire.CloseProtocolError)
			if n := strings.Count(body, "4good"); len(c.messages) != n {
				t.Errorf("%d of %d messages before the fault were delivered", len(c.messages), n)
			}
			c.expectGone()
		})
	}
	c := r.connect()
	if got := r.do(r.ctx(), "POST", c.url, strings.NewReader("4a"), "Content-Type", "application/octet-stream"); got.status != 400 {
		t.Errorf("binary content: %+v", got)
	}
	c.expectClosed(t, wire.CloseProtocolError)
}

func TestAMalformedPacketOnAWebSocketEndsTheSession(t *testing.T) {
	r := newRig(t, Config{})
	for _, text := range []string{"abc", "", "0{}", "2", "2probe", "b==="} {
		c, p, _ := r.dialNew()
		c.send(text)
		if code := c.expectEnd(); code != websocket.StatusProtocolError {
			t.Errorf("%q: closed with %d", text, code)
		}
		p.expectClosed(t, wire.CloseProtocolError)
	}
	c, p, _ := r.dialNew()
	c.send("6")
	c.send("5")
	c.send("3")
	c.send("4fine")
	p.expect(t, "fine")
}

func TestConcurrentPollsEndTheSession(t *testing.T) {
	r := newRig(t, Config{})
	c := r.connect()
	held := c.poll()
	if got := c.get(); got.status != http.StatusBadRequest {
		t.Errorf("the second: %+v", got)
	}
	expectAnswer(t, held, "1")
	c.expectClosed(t, wire.CloseProtocolError)
	c.expectGone()
}

func TestConcurrentPostsEndTheSession(t *testing.T) {
	r := newRig(t, Config{})
	c := r.connect()
	held := c.poll()
	body, feed := io.Pipe()
	first := make(chan result, 1)
	go func() { first <- r.do(r.ctx(), http.MethodPost, c.url, body) }()
	_, _ = feed.Write([]byte("4never "))
	e := r.find(c.sid)
	until(t, "the first is under way", func() bool { e.mu.Lock(); defer e.mu.Unlock(); return e.polls.post != nil })
	if got := c.post("4second"); got.status != http.StatusBadRequest {
		t.Errorf("the second: %+v", got)
	}
	expectAnswer(t, held, "1")
	c.expectClosed(t, wire.CloseProtocolError)
	if got := take(t, first); got.err == nil && got.status != http.StatusBadRequest {
		t.Errorf("the first: %+v", got)
	}
	_ = feed.Close()
	if len(c.messages) != 0 {
		t.Error("a message was delivered")
	}
	c.expectGone()
}

func TestAnAbortedRequestEndsTheSession(t *testing.T) {
	r := newRig(t, Config{})
	c := r.connect()
	ctx, abort := context.WithCancel(r.ctx())
	done := make(chan result, 1)
	go func() { done <- r.do(ctx, http.MethodGet, c.url, nil) }()
	until(t, "the poll waits", func() bool { return r.waiting(c.sid) })
	abort()
	c.expectClosed(t, wire.CloseAbnormal)
	c.expectGone()
	<-done

	c = r.connect()
	ctx, abort = context.WithCancel(r.ctx())
	body, feed := io.Pipe()
	go func() { done <- r.do(ctx, http.MethodPost, c.url, body) }()
	_, _ = feed.Write([]byte("4a"))
	e := r.find(c.sid)
	until(t, "the post is under way", func() bool { e.mu.Lock(); defer e.mu.Unlock(); return e.polls.post != nil })
	abort()
	_ = feed.CloseWithError(context.Canceled)
	c.expectClosed(t, wire.CloseAbnormal)
	c.expectGone()
	<-done
}

func TestAClosePacketEndsTheSession(t *testing.T) {
	r := newRig(t, Config{})
	c := r.connect()
	held := c.poll()
	c.expectPost("4last\x1e1\x1e4ignored")
	expectAnswer(t, held, "6")
	c.expect(t, "last")
	c.expectClosed(t, wire.CloseNoStatus)
	if len(c.messages) != 0 {
		t.Error("a message behind the close packet was delivered")
	}
	c.expectGone()

	s, p, _ := r.dialNew()
	s.send("1")
	if code := s.expectEnd(); code != websocket.StatusNoStatusRcvd {
		t.Errorf("closed with %d", code)
	}
	p.expectClosed(t, wire.CloseNoStatus)
}

func TestAPollThatIsLateForTheGoodbyeIsToldOfIt(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, r *rig) {
		c := r.connect()
		posted := make(chan result, 1)
		go func() { posted <- c.post("1") }()
		c.expectClosed(t, wire.CloseNoStatus) // the handler does not wait
		c.expectGet("6")
		if got := take(t, posted); got.body != "ok" {
			t.Errorf("%+v", got)
		}
		c.expectGone()

		c = r.connect()
		c.expectPost("1") // no poll comes
		c.expectGone()
	})
}

// Clients behind one proxy, or in one process, share HTTP connections.
func TestASessionThatEndsLeavesTheHTTPConnectionToOthers(t *testing.T) {
	r := newRig(t, Config{})
	shared, ok := r.client.Transport.(*http.Transport)
	if !ok {
		t.Fatal("another kind of client")
	}
	shared.MaxConnsPerHost = 1
	for range 3 {
		r.connect().expectPost("1")
		c := r.connect()
		held := c.poll()
		select {
		case got := <-held:
			t.Fatalf("a poll ended at once: %+v", got)
		case <-time.After(20 * time.Millisecond):
		}
		c.conn.Send(textFrame("hello"))
		expectAnswer(t, held, "4hello")
		c.expectPost("1")
	}
}

func TestBodiesOverTheLimitAreRefusedAndTheSessionLives(t *testing.T) {
	r := newRig(t, Config{MaxPayload: 10_000})
	c := r.connect()
	full := "4" + strings.Repeat("x", 9_999)
	for _, body := range []io.Reader{strings.NewReader(full + "x"), io.MultiReader(strings.NewReader(full), strings.NewReader("x"))} {
		if got := r.do(r.ctx(), http.MethodPost, c.url, body); got.status != http.StatusRequestEntityTooLarge {
			t.Errorf("%+v", got)
		}
	}
	if len(c.messages) != 0 {
		t.Fatal("delivered")
	}
	for _, body := range []io.Reader{strings.NewReader(full), io.MultiReader(strings.NewReader(full))} {
		if got := r.do(r.ctx(), http.MethodPost, c.url, body); got.status != http.StatusOK {
			t.Errorf("%+v", got)
		}
		c.expect(t, full[1:])
	}
	s, p, _ := r.dialNew()
	s.send(full)
	p.expect(t, full[1:])
	s.send(full + "x")
	if code := s.expectEnd(); code != websocket.StatusMessageTooBig {
		t.Errorf("closed with %d", code)
	}
	p.expectClosed(t, wire.CloseTooBig)
}

func TestPagesOfAllowedOriginsMayReadAnswers(t *testing.T) {
	r := newRig(t, Config{})
	got := r.do(r.ctx(), http.MethodGet, base+"polling", nil, "Origin", "https://app.example")
	if h := got.header; h.Get("Access-Control-Allow-Origin") != "https://app.example" ||
		h.Get("Access-Control-Allow-Credentials") != "true" || h.Get("Vary") != "Origin" {
		t.Errorf("%v", got.header)
	}
	got = r.do(r.ctx(), http.MethodOptions, base+"polling", nil, "Origin", "https://app.example",
		"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type,x-mine")
	if h := got.header; got.status != http.StatusNoContent || h.Get("Access-Control-Allow-Methods") != "GET, POST" ||
		h.Get("Access-Control-Allow-Headers") != "content-type,x-mine" || h.Get("Access-Control-Allow-Credentials") != "true" {
		t.Errorf("%+v", got)
	}
	got = r.do(r.ctx(), http.MethodGet, base+"polling", nil)
	if got.header.Get("Access-Control-Allow-Origin") != "" || got.header.Get("Vary") != "Origin" {
		t.Errorf("without an origin: %v", got.header)
	}
}

func TestSessionIDsAreSecretAndNameTheirInstance(t *testing.T) {
	r := newRig(t, Config{Instance: "node-1"})
	seen := map[string]bool{}
	for range 1000 {
		seen[r.sid(newID())] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d ids of 1000", len(seen))
	}
	c := r.connect()
	if Owner(c.sid) != "node-1" || len(c.sid) != len("node-1.")+22 {
		t.Errorf("id %q", c.sid)
	}
	for _, sid := range []string{"", c.sid[len("node-1."):], "node-2" + c.sid[6:], c.sid + "A", c.sid[:len(c.sid)-1] + "!", "node-1."} {
		if r.find(sid) != nil {
			t.Errorf("%q finds a session", sid)
		}
	}
	if r.find(c.sid) == nil || Owner("abc") != "" {
		t.Error("the id does not find its session")
	}
}

func TestSettingsThatCannotWorkAreNamed(t *testing.T) {
	if err := (Config{}).Validate(); err != nil {
		t.Error(err)
	}
	err := Config{
		PingInterval: 1, PingTimeout: 1500 * 1000, UpgradeTimeout: -1, MaxSessions: -1, MemoryBytes: 5, Instance: "a.b",
	}.Validate()
	for _, name := range []string{"ENGINE_PING_INTERVAL", "ENGINE_PING_TIMEOUT", "ENGINE_UPGRADE_TIMEOUT", "POLLING_MAX_SESSIONS", "POLLING_MEMORY_BYTES", "instance"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named: %v", name, err)
		}
	}
}
