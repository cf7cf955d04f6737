package peer

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/cluster"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/internal/transport/polling"
)

func TestASessionIsServedByAnyInstance(t *testing.T) {
	engines := setup{local: engineOf(t, polling.Config{})}
	at, home := pair(t, engines, engines)
	opened := get(t, home.public.URL+"/socket.io/?EIO=4&transport=polling")
	_, rest, _ := strings.Cut(opened.body, `"sid":"`)
	sid, _, _ := strings.Cut(rest, `"`)
	if polling.Owner(sid) != home.registry.Incarnation() {
		t.Fatalf("the handshake: %+v", opened)
	}
	for n := range 10 {
		text := fmt.Sprintf("4message %d", n)
		to, from := at, home
		if n%2 == 0 {
			to, from = home, at
		}
		if a := post(t, to.url(sid), text+"\x1ebAQID"); a.body != "ok" || a.status != http.StatusOK {
			t.Fatalf("post %d: %+v", n, a)
		}
		if a := get(t, from.url(sid)); a.body != text+"\x1ebAQID" {
			t.Fatalf("poll %d: %+v", n, a)
		}
	}
	if a := post(t, at.url(sid), "1"); a.body != "ok" {
		t.Errorf("goodbye: %+v", a)
	}
	if a := get(t, at.url(sid)); !a.unknown() {
		t.Errorf("after the end: %+v", a)
	}
	if got := home.receiver.Stats(); got.Taken < 11 || got.Refused != 0 {
		t.Errorf("receiver: %+v", got)
	}
}

func TestTheSessionsInstanceSeesTheClientAsItCame(t *testing.T) {
	seen := make(chan *http.Request, 1)
	at, home := pair(t, setup{
		before: func(w http.ResponseWriter) {
			w.Header().Set("Access-Control-Allow-Origin", "https://app.example")
			w.Header().Add("Vary", "Origin")
		},
		parts: func(p *Parts) {
			p.Client = func(*http.Request) netip.Addr { return netip.MustParseAddr("203.0.113.9") }
		},
	}, serving(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Cache-Control", "no-store")
		seen <- r
		_, _ = io.WriteString(w, "taken")
	}))
	uri := "/socket.io/%41?EIO=4&transport=polling&sid=" + home.sid("s") + "&bad;q=%zz&t="
	r := request(t, http.MethodPost, at.public.URL+uri, "4hello")
	r.Host = "gateway.example:8443"
	for name, value := range map[string]string{
		"Origin": "https://app.example", "Sec-Fetch-Site": "cross-site", "Cookie": "hush", "Authorization": "Bearer hush",
		"X-Forwarded-For": "198.51.100.1", "Gateway-Peer": "x", "Gateway-Peer-Signature": "y", "Content-Type": "text/plain;charset=UTF-8",
	} {
		r.Header.Set(name, value)
	}
	if a := ask(client(t), r); a.status != http.StatusOK || a.body != "taken" || a.header.Get("Cache-Control") != "no-store" ||
		len(a.header["Access-Control-Allow-Origin"]) != 1 || a.header.Get("Access-Control-Allow-Origin") != "https://app.example" {
		t.Fatalf("answer: %+v", a)
	}
	got := <-seen
	body, _ := io.ReadAll(got.Body)
	if got.Host != "gateway.example:8443" || got.RemoteAddr != "203.0.113.9:0" || got.Header.Get("Origin") != "https://app.example" ||
		got.RequestURI != uri || got.URL.RequestURI() != uri || got.Method != http.MethodPost || string(body) != "4hello" || got.ContentLength != 6 {
		t.Errorf("%s %s (%s) of %s at %s, %v: %q", got.Method, got.RequestURI, got.URL, got.RemoteAddr, got.Host, got.Header, body)
	}
	for name := range got.Header {
		switch name {
		case "Origin", "Content-Type", "Content-Length":
		default:
			t.Errorf("header %s went along: %q", name, got.Header[name])
		}
	}
}

func TestWhoIsNotThereIsAnsweredWithAnUnknownSession(t *testing.T) {
	at, home := pair(t, setup{}, setup{})
	for name, sid := range map[string]string{
		"nobody's":                 "nobody00.s",
		"another of nobody's":      strings.Repeat("x", 500) + ".s",
		"its own, as if elsewhere": at.sid("s"),
	} {
		r := request(t, http.MethodGet, at.url(sid), "")
		w := &recorder{header: http.Header{}}
		at.ServeHTTP(w, r)
		if w.status != http.StatusBadRequest || !strings.Contains(w.body.String(), "Session ID unknown") {
			t.Errorf("%s: %d %s", name, w.status, &w.body)
		}
	}
	if a := get(t, at.url(home.sid("s"))); a.body != "here" {
		t.Fatalf("alive: %+v", a)
	}
	home.stop()
	if a := get(t, at.url(home.sid("s"))); !a.unknown() {
		t.Errorf("dead, and still in the view: %+v", a)
	}
	if got := at.Stats(); got.Failed != 1 || got.Unknown < 4 {
		t.Errorf("stats: %+v", got)
	}
}

// recorder is a http.ResponseWriter without a connection.
type recorder struct {
	header http.Header
	status int
	body   strings.Builder
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }

// lateFleet learns of an instance when it is asked for.
type lateFleet struct {
	*cluster.Registry
	mu   sync.Mutex
	late cluster.Instance // guarded by mu
	here bool             // guarded by mu
}

func (f *lateFleet) Find(incarnation string) (cluster.Instance, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.here && incarnation == f.late.Incarnation {
		return f.late, true
	}
	return cluster.Instance{}, false
}

func (f *lateFleet) Beat() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.here = true
}

func TestAnInstanceThatHasJustComeIsAskedFor(t *testing.T) {
	fleet := &lateFleet{}
	at, home := pair(t, setup{parts: func(p *Parts) {
		fleet.Registry, _ = p.Fleet.(*cluster.Registry)
		p.Fleet = fleet
	}}, setup{})
	fleet.mu.Lock()
	fleet.late = home.registry.Self()
	fleet.mu.Unlock()
	if a := get(t, at.url(home.sid("s"))); a.body != "here" {
		t.Errorf("got %+v", a)
	}
}

func TestInventedIdsHoldUpNobodyAndAskRarely(t *testing.T) {
	asked := 0
	f := &finder{fleet: countingFleet{&asked}}
	var wg sync.WaitGroup
	for range 4 * maxSeek {
		wg.Go(func() {
			if _, ok := f.find(t.Context(), "nobody00"); ok {
				t.Error("found nobody")
			}
		})
	}
	wg.Wait()
	if f.seeking != 0 || asked == 0 || asked > maxSeek {
		t.Errorf("%d wait, asked %d times", f.seeking, asked)
	}
}

type countingFleet struct{ asked *int }

func (c countingFleet) Incarnation() string                  { return "self" }
func (c countingFleet) Find(string) (cluster.Instance, bool) { return cluster.Instance{}, false }
func (c countingFleet) Beat()                                { *c.asked++ } // with finder.mu held

func TestNothingIsPassedOnTwice(t *testing.T) {
	// What is told of home leads to a third, which would pass it on to home.
	redis := newRedis(t)
	var third *instance
	reached := false
	third = newInstance(t, redis, serving(func(http.ResponseWriter, *http.Request) { reached = true }))
	home := newInstance(t, redis, setup{peer: Locate(Config{}, third.admin.AdminAddr)})
	at := newInstance(t, redis, setup{})
	at.sees(home, third)
	third.sees(home)
	if a := get(t, at.url(home.sid("s"))); !a.unknown() || reached {
		t.Errorf("misled: %+v", a)
	}
	if got := third.receiver.Stats(); got.Refused != 1 || got.Taken != 0 {
		t.Errorf("receiver: %+v", got)
	}
	if n := at.logs.FilterMessageSnippet("PEER_URL").Len(); n != 1 {
		t.Errorf("said %d times", n)
	}
	// A request that came from another instance is at its end.
	r := request(t, http.MethodGet, "/socket.io/?sid="+home.sid("s"), "")
	w := &recorder{header: http.Header{}}
	at.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), forwardedKey{}, true)))
	if w.status != http.StatusBadRequest || at.Stats().Passed != 1 {
		t.Errorf("passed on again: %d", w.status)
	}
}

func TestAClientThatGoesAwayEndsItsRequestEverywhere(t *testing.T) {
	came, left := make(chan struct{}), make(chan struct{})
	at, home := pair(t, setup{}, serving(func(_ http.ResponseWriter, r *http.Request) {
		close(came)
		<-r.Context().Done()
		close(left)
	}))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan answer, 1)
	c := client(t)
	go func() { done <- ask(c, request(t, http.MethodGet, at.url(home.sid("s")), "").WithContext(ctx)) }()
	<-came
	cancel()
	<-left
	if a := <-done; a.err == nil {
		t.Errorf("answered: %+v", a)
	}
	until(t, "nothing is under way", func() bool { return at.Stats().Requests == 0 })
	if got := at.Stats(); got.Failed != 0 {
		t.Errorf("the client's end counts as a failure: %+v", got)
	}
}

func TestAPollIsHeldLongerThanAServerReads(t *testing.T) {
	const bound = 50 * time.Millisecond
	cut := make(chan bool, 1)
	at, home := pair(t, setup{read: bound}, serving(func(w http.ResponseWriter, r *http.Request) {
		timer := time.NewTimer(4 * bound)
		defer timer.Stop()
		select {
		case <-timer.C:
			cut <- false
		case <-r.Context().Done():
			cut <- true
		}
		_, _ = io.WriteString(w, "6")
	}))
	if a := get(t, at.url(home.sid("s"))); a.body != "6" || <-cut {
		t.Errorf("got %+v", a)
	}
}

func TestAnAnswerThatBreaksOffIsCut(t *testing.T) {
	for _, chunked := range []bool{true, false} {
		at, home := pair(t, setup{}, serving(func(w http.ResponseWriter, _ *http.Request) {
			if !chunked {
				w.Header().Set("Content-Length", "100")
			}
			_, _ = io.WriteString(w, "4begun")
			rc := http.NewResponseController(w)
			_ = rc.Flush()
			conn, _, err := rc.Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_ = conn.Close()
		}))
		if a := get(t, at.url(home.sid("s"))); a.err == nil {
			t.Errorf("chunked %v: a whole answer: %+v", chunked, a)
		}
		until(t, "the failure is counted", func() bool { return at.Stats().Failed == 1 })
		if n := at.logs.FilterMessageSnippet("panicked").Len(); n != 0 {
			t.Error("the log tells of a panic")
		}
	}
}

func TestAnAnswerThatDoesNotComeEnds(t *testing.T) {
	at, home := pair(t, setup{cfg: Config{HoldTime: 50 * time.Millisecond}}, serving(func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
	}))
	if a := get(t, at.url(home.sid("s"))); !a.unknown() {
		t.Errorf("got %+v", a)
	}
}

func TestBodiesAreBounded(t *testing.T) {
	at, home := pair(t, setup{cfg: Config{MaxBody: 100_000}}, serving(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprintf(w, "%d %v", n, err)
	}))
	to := at.url(home.sid("s"))
	if a := post(t, to, strings.Repeat("x", 100_000)); a.body != "100000 <nil>" {
		t.Errorf("as much as may be: %+v", a)
	}
	if a := post(t, to, strings.Repeat("x", 100_001)); a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("one more: %+v", a)
	}
	endless, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to, io.MultiReader(strings.NewReader(strings.Repeat("x", 150_000))))
	if err != nil {
		t.Fatal(err)
	}
	if a := ask(client(t), endless); a.err == nil && a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("of unknown length: %+v", a)
	}
	chunked, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to, io.MultiReader(strings.NewReader("abc")))
	if err != nil {
		t.Fatal(err)
	}
	if a := ask(client(t), chunked); a.body != "3 <nil>" {
		t.Errorf("in chunks: %+v", a)
	}
	at.bodies.limit = 50_000
	if a := post(t, to, strings.Repeat("x", 90_000)); a.err == nil && (a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "") {
		t.Errorf("without memory: %+v", a)
	}
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", at.public.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprintf(conn, "POST /socket.io/?sid=%s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n", home.sid("s"))
	if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a body that breaks off: %v", err)
	} else {
		_ = resp.Body.Close()
	}
}

func TestRequestsUnderWayAreBounded(t *testing.T) {
	came, goOn := make(chan struct{}), make(chan struct{})
	at, home := pair(t, setup{cfg: Config{MaxRequests: 1, MaxWebSockets: 1}}, serving(func(w http.ResponseWriter, _ *http.Request) {
		came <- struct{}{}
		<-goOn
		_, _ = io.WriteString(w, "done")
	}))
	done := make(chan answer, 2)
	upgrade := request(t, http.MethodGet, at.url(home.sid("s")), "")
	upgrade.Header.Set("Connection", "Upgrade")
	upgrade.Header.Set("Upgrade", "websocket")
	c := client(t)
	go func() { done <- ask(c, request(t, http.MethodGet, at.url(home.sid("s")), "")) }()
	go func() { done <- ask(c, upgrade.Clone(t.Context())) }()
	<-came
	<-came
	if a := get(t, at.url(home.sid("s"))); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("one more: %+v", a)
	}
	if a := ask(client(t), upgrade); a.status != http.StatusServiceUnavailable {
		t.Errorf("one more WebSocket: %+v", a)
	}
	close(goOn)
	for range 2 {
		if a := <-done; a.body != "done" {
			t.Errorf("one that was under way: %+v", a)
		}
	}
	if got := at.Stats(); got.Busy != 2 {
		t.Errorf("stats: %+v", got)
	}
}

func TestShutdownEndsWhatIsUnderWay(t *testing.T) {
	came := make(chan struct{})
	at, home := pair(t, setup{}, serving(func(_ http.ResponseWriter, r *http.Request) {
		close(came)
		<-r.Context().Done()
	}))
	done := make(chan answer, 1)
	c := client(t)
	go func() { done <- ask(c, request(t, http.MethodGet, at.url(home.sid("s")), "")) }()
	<-came
	at.Shutdown()
	if a := <-done; !a.unknown() {
		t.Errorf("got %+v", a)
	}
	if a := get(t, at.url(home.sid("s"))); !a.unknown() {
		t.Errorf("after it: %+v", a)
	}
}

func TestRequestsArePassedOnWhileRedisIsAway(t *testing.T) {
	server := redistest.Single(t)
	redis := server.Config()
	redis.Prefix = "peer:"
	at, home := newInstance(t, redis, setup{}), newInstance(t, redis, setup{})
	at.sees(home)
	server.Kill()
	until(t, "home's time is over", func() bool { return !at.registry.Live(home.registry.Incarnation()) })
	if a := get(t, at.url(home.sid("s"))); a.body != "here" {
		t.Errorf("got %+v", a)
	}
}

func TestAnotherSecretIsTakenUp(t *testing.T) {
	server := redistest.Single(t)
	redis := server.Config()
	redis.Prefix = "peer:"
	at, home := newInstance(t, redis, setup{}), newInstance(t, redis, setup{})
	at.sees(home)
	home.sees(at)
	old := at.keys.current()
	// Redis has lost it, and who comes next makes another.
	keys, err := server.Client().Keys(t.Context(), "*secret*").Result()
	if err != nil || len(keys) != 1 {
		t.Fatalf("keys %q, %v", keys, err)
	}
	server.Client().Del(t.Context(), keys...)
	fresh := newInstance(t, redis, setup{})
	fresh.sees(home, at)
	until(t, "at and home know the newcomer", func() bool {
		_, one := at.registry.Find(fresh.registry.Incarnation())
		_, two := home.registry.Find(fresh.registry.Incarnation())
		return one && two
	})
	for name, try := range map[string]func() answer{
		"to one that has the old":   func() answer { return get(t, fresh.url(home.sid("s"))) },
		"from one that has the old": func() answer { return get(t, at.url(fresh.sid("s"))) },
		"between the two":           func() answer { return get(t, at.url(home.sid("s"))) },
	} {
		until(t, name, func() bool { return try().body == "here" }) // the vault is looked at once a second
	}
	for _, i := range []*instance{at, home, fresh} {
		for _, secret := range [][]byte{old, fresh.keys.current()} {
			for _, e := range i.logs.All() {
				if strings.Contains(fmt.Sprint(e.Message, e.ContextMap()), string(secret)) {
					t.Errorf("the secret is in the log: %s", e.Message)
				}
			}
		}
	}
}

func TestARequestWhoseNumberIsTakenIsSentOnceMore(t *testing.T) {
	got := make(chan string, 2)
	at, home := pair(t, setup{}, serving(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got <- string(b)
	}))
	self := at.registry.Incarnation()
	home.receiver.numbers.take(self, 1, time.Now())
	if a := post(t, at.url(home.sid("s")), "4hello"); a.status != http.StatusOK || <-got != "4hello" {
		t.Errorf("got %+v", a)
	}
	for n := range uint64(2) {
		home.receiver.numbers.take(self, 3+n, time.Now())
	}
	if a := post(t, at.url(home.sid("s")), "4hello"); !a.unknown() || len(got) != 0 {
		t.Errorf("refused twice: %+v", a)
	}
}
