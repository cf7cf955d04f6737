package bridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// caller calls one upstream.
type caller struct {
	*Upstreams
	t    *testing.T
	live *policy.Live
	to   policy.Upstream
}

func (b *backend) caller(change ...func(*policy.Upstream)) *caller {
	b.t.Helper()
	to := policy.Upstream{URL: "http://orders/events?key=canary", Timeout: 5 * time.Second, Concurrency: 2, MaxResponseBytes: 100}
	for _, f := range change {
		f(&to)
	}
	live := policy.NewLive(parse(b.t, ""))
	client := NewClient(Config{SigningSecrets: []string{secret}, Version: "v1"}, b.dial)
	b.t.Cleanup(client.Close)
	return &caller{NewUpstreams(client, live, b.log), b.t, live, to}
}

func parse(t *testing.T, routes string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse([]byte("version: 1\n" + routes))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func idempotent(to *policy.Upstream) { to.Idempotent = true }

func order() router.Call {
	return router.Call{Identity: &auth.Identity{UserID: "ann"}, Connection: "c1", Event: "order", Data: []byte(`{"n":1}`)}
}

func (c *caller) call(ctx context.Context) ([]byte, error) { return c.Call(ctx, &c.to, order()) }

// fails calls and expects an error.
func (c *caller) fails(code wire.Code) {
	c.t.Helper()
	if data, err := c.call(c.t.Context()); !wire.IsCode(err, code) {
		c.t.Errorf("answer %q, error %v; want %s", data, err, code)
	}
}

// works calls and expects {}.
func (c *caller) works() {
	c.t.Helper()
	if data, err := c.call(c.t.Context()); err != nil || string(data) != "{}" {
		c.t.Errorf("answer %q, error %v", data, err)
	}
}

// counted compares how calls ended.
func (c *caller) counted(how outcome, want int64) {
	c.t.Helper()
	if got := c.Stats().Calls[how]; got != want {
		c.t.Errorf("%d calls ended with %s, want %d", got, Outcomes()[how], want)
	}
}

func TestAServiceGetsTheEventAndItsAnswerIsTheReply(t *testing.T) {
	inBubble(t, func(t *testing.T, b *backend) {
		b.answers(200, "{\"total\": 12345678901234567890,\n \"html\":\"<b>\"}")
		c := b.caller()
		data, err := c.Call(t.Context(), &c.to, router.Call{
			Identity:   &auth.Identity{UserID: `a"nn`, Claims: []byte(`{"plan":"gold"}`)},
			Connection: "c1", Peer: netip.MustParseAddr("192.0.2.7"), Event: "order:create", Room: "shop:1",
			ID: []byte(`"x"`), Data: []byte(`{"n": 1.0}`),
		})
		if err != nil || string(data) != "{\"total\": 12345678901234567890,\n \"html\":\"<b>\"}" {
			t.Errorf("answer %q, error %v", data, err)
		}
		sent := b.took()
		want := `^{"callId":"[A-Z2-7]{26}","event":"order:create","id":"x","room":"shop:1","user":"a\\"nn","guest":false,` +
			`"claims":{"plan":"gold"},"connection":"c1","address":"192.0.2.7","data":{"n": 1.0}}$`
		if len(sent) != 1 || !regexp.MustCompile(want).MatchString(sent[0].body) {
			t.Fatalf("sent %+v", sent)
		}
		h := sent[0].header
		if h.Get("Content-Type") != "application/json" || h.Get("User-Agent") != "ws-gateway/v1" || h.Get("Idempotency-Key") != "" {
			t.Errorf("headers %v", h)
		}
		if err := verify(h.Get(SignatureHeader), sent[0].body, sent[0].at); err != nil {
			t.Error(err)
		}
		c.counted(answered, 1)
	})
}

func TestWhatIsAbsentIsNullOrLeftOut(t *testing.T) {
	inBubble(t, func(t *testing.T, b *backend) {
		c := b.caller()
		if _, err := c.Call(t.Context(), &c.to, router.Call{Identity: &auth.Identity{UserID: "guest-1", Guest: true}, Connection: "c1", Event: "e"}); err != nil {
			t.Fatal(err)
		}
		if body := b.took()[0].body; !strings.HasSuffix(body, `","event":"e","user":"guest-1","guest":true,"claims":null,"connection":"c1","data":null}`) {
			t.Errorf("sent %s", body)
		}
	})
}

func TestAnswersBecomeReplies(t *testing.T) {
	const internals = "pq: password of db-7 refused"
	for name, tc := range map[string]struct {
		status int
		body   string
		data   string
		code   wire.Code // "": no error
		reason string
		text   string // of the error, "" any
	}{
		"any JSON":                    {200, ` [1, "two"] `, ` [1, "two"] `, "", "", ""},
		"created":                     {201, `{"id":7}`, `{"id":7}`, "", "", ""},
		"nothing":                     {204, ``, ``, "", "", ""},
		"an empty body":               {200, ``, ``, "", "", ""},
		"as long as may be":           {200, `"` + strings.Repeat("x", 98) + `"`, `"` + strings.Repeat("x", 98) + `"`, "", "", ""},
		"longer than may be":          {200, `"` + strings.Repeat("x", 99) + `"`, "", wire.Internal, "", ""},
		"a page":                      {200, "<html>" + internals[:20], "", wire.Internal, "", ""},
		"half an object":              {200, `{"a":`, "", wire.Internal, "", ""},
		"two objects":                 {200, `{}{}`, "", wire.Internal, "", ""},
		"text that is not UTF-8":      {200, "\"\xff\"", "", wire.Internal, "", ""},
		"nested too deep":             {200, strings.Repeat("[", 70), "", wire.Internal, "", ""},
		"a redirect":                  {302, `{}`, "", wire.Internal, "", ""},
		"an application's error":      {422, `{"code":"out_of_stock","message":"None left."}`, "", wire.InvalidMessage, "out_of_stock", "None left."},
		"one with more fields":        {400, `{"message":"No.","code":"e.1","trace":"x"}`, "", wire.InvalidMessage, "e.1", "No."},
		"one without a message":       {409, `{"code":"taken"}`, "", wire.Conflict, "taken", "the event's service did not accept it"},
		"one with a status of others": {402, `{"code":"pay","message":"Pay first."}`, "", wire.InvalidMessage, "pay", "Pay first."},
		"one that is not found":       {404, `{"code":"no_order","message":"No such order."}`, "", wire.InvalidMessage, "no_order", "No such order."},
		"one that forbids":            {403, `{"code":"not_yours"}`, "", wire.Forbidden, "not_yours", ""},
		"one that wants more proof":   {401, `{"code":"step_up"}`, "", wire.Forbidden, "step_up", ""},
		"a code with a space":         {400, `{"code":"see log","message":"x"}`, "", wire.InvalidMessage, "", "the event's service did not accept it"},
		"a code that is a number":     {400, `{"code":7,"message":"x"}`, "", wire.InvalidMessage, "", ""},
		"a message of two lines":      {400, `{"code":"e","message":"a\nb"}`, "", wire.InvalidMessage, "e", "the event's service did not accept it"},
		"a refusal without words":     {403, ``, "", wire.Forbidden, "", ""},
		"too large":                   {413, ``, "", wire.TooLarge, "", ""},
		"too many":                    {429, `{"error":"` + internals + `"}`, "", wire.RateLimited, "", ""},
		"a refusal with internals":    {400, internals, "", wire.InvalidMessage, "", "the event's service did not accept it"},
		"our signature is refused":    {401, ``, "", wire.Internal, "", ""},
		"a wrong path":                {404, `<html>`, "", wire.Internal, "", ""},
		"a wrong method":              {405, ``, "", wire.Internal, "", ""},
		"a fault with internals":      {500, `{"code":"e","message":"` + internals + `"}`, "", wire.Unavailable, "", "the event's service could not be reached or failed"},
		"a long fault":                {500, strings.Repeat("x", 1000), "", wire.Unavailable, "", ""},
		"away":                        {503, internals, "", wire.Unavailable, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *backend) {
				b.answers(tc.status, tc.body)
				c := b.caller(func(to *policy.Upstream) { to.MaxResponseBytes = 100 })
				data, err := c.call(t.Context())
				if tc.code == "" {
					if err != nil || string(data) != tc.data {
						t.Errorf("data %q, error %v", data, err)
					}
					return
				}
				var e *wire.Error
				if !errors.As(err, &e) || e.Code != tc.code || e.Reason != tc.reason || tc.text != "" && e.Message != tc.text || data != nil {
					t.Fatalf("data %q, error %+v", data, err)
				}
				if strings.Contains(e.Message, "pq:") {
					t.Errorf("the client sees %q", e.Message)
				}
				if n := len(b.took()); n != 1 {
					t.Errorf("sent %d times", n)
				}
				b.silent("canary")
				b.silent("pq:")
			})
		})
	}
}

func TestAServiceThatHangsIsGivenUp(t *testing.T) {
	inBubble(t, func(t *testing.T, b *backend) {
		b.handles(hang)
		c := b.caller(idempotent)
		begin := time.Now()
		c.fails(wire.Unavailable)
		if took := time.Since(begin); took != 5*time.Second {
			t.Errorf("took %v", took)
		}
		c.counted(late, 1)
		if n := len(b.took()); n != 1 || c.Stats().Running != 0 {
			t.Errorf("sent %d times, %d running", n, c.Stats().Running)
		}
	})
}

func TestABodyThatNeverEndsIsGivenUp(t *testing.T) {
	inBubble(t, func(t *testing.T, b *backend) {
		b.handles(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, `{"a":`)
			_ = http.NewResponseController(w).Flush()
			hang(w, r)
		})
		c := b.caller()
		c.fails(wire.Unavailable)
		c.counted(late, 1)
	})
}

func TestACallIsRepeatedWhenThatIsSafe(t *testing.T) {
	unavailable := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }
	broken := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }
	for name, tc := range map[string]struct {
		first      http.HandlerFunc
		idempotent bool
		sent       int
		fails      bool
	}{
		"the connection broke":                     {drop, false, 1, true},
		"the connection broke, but idempotent":     {drop, true, 2, false},
		"the service is away":                      {unavailable, false, 1, true},
		"the service is away, but idempotent":      {unavailable, true, 2, false},
		"the service failed, even when idempotent": {broken, true, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *backend) {
				c := b.caller(func(to *policy.Upstream) { to.Idempotent = tc.idempotent })
				c.works() // so that a connection is kept, which net/http might repeat on
				b.took()
				var once sync.Once
				b.handles(func(w http.ResponseWriter, r *http.Request) {
					answer := func() { _, _ = io.WriteString(w, `{}`) }
					once.Do(func() { answer = func() { tc.first(w, r) } })
					answer()
				})
				_, err := c.call(t.Context())
				if (err != nil) != tc.fails {
					t.Errorf("error %v", err)
				}
				sent := b.took()
				if len(sent) != tc.sent || c.Stats().Retries != int64(tc.sent-1) {
					t.Errorf("sent %d times, %d retries counted", len(sent), c.Stats().Retries)
				}
				if len(sent) == 2 && sent[0].body != sent[1].body {
					t.Error("the second attempt has another callId")
				}
			})
		})
	}
}

func TestNothingSentIsSentAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, b *backend) {
		b.refuse(true)
		c := b.caller()
		time.AfterFunc(10*time.Millisecond, func() { b.refuse(false) })
		c.works()
		if n := len(b.took()); n != 1 || b.dialled() != 2 || c.Stats().Retries != 1 {
			t.Errorf("sent %d times over %d connections", n, b.dialled())
		}
		b.silent("canary")
	})
}

func TestTheBreakerKeepsCallsFromAServiceThatIsAway(t *testing.T) {
	inBubble(t, func(t *testing.T, b *backend) {
		b.refuse(true)
		c := b.caller()
		for range 5 {
			c.fails(wire.Unavailable)
		}
		before := b.dialled()
		c.fails(wire.Unavailable)
		if b.dialled() != before {
			t.Error("an open breaker let a call through")
		}
		c.counted(failed, 5)
		c.counted(breakerOpen, 1)
		if err := c.Err(); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("health says %v", err)
		}
		b.refuse(false)
		time.Sleep(6 * time.Second)
		c.works()
		if err := c.Err(); err != nil {
			t.Errorf("health says %v", err)
		}
	})
}

func TestWhatOneEventCanBringAboutOpensNoBreaker(t *testing.T) {
	inBubble(t, func(t *testing.T, b *backend) {
		c := b.caller()
		for i, status := range []int{500, 400, 429, 200} {
			b.answers(status, "garbage")
			for range 30 {
				_, _ = c.call(t.Context())
			}
			c.counted(breakerOpen, 0)
			if n := len(b.took()); n != 30 {
				t.Errorf("status %d, row %d: sent %d times", status, i, n)
			}
		}
	})
}

func TestNothingThatABackendSaysStandsInTheLog(t *testing.T) {
	for name, says := range map[string]string{
		"no HTTP":       "canary\r\n\r\n",
		"a status":      "HTTP/1.1 canary what\r\n\r\n",
		"a header":      "HTTP/1.1 200 OK\r\ncanary\r\n\r\n",
		"a length":      "HTTP/1.1 200 OK\r\nContent-Length: canary\r\n\r\n",
		"an encoding":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: canary\r\n\r\n",
		"half a chunk":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\ncanary\r\n",
		"half a body":   "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncanary",
		"another place": "HTTP/1.1 302 Found\r\nLocation: http://canary/%zz\r\nContent-Length: 0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *backend) {
				b.handles(func(w http.ResponseWriter, _ *http.Request) {
					if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
						_, _ = io.WriteString(conn, says)
						_ = conn.Close()
					}
				})
				if data, err := b.caller().call(t.Context()); err == nil || strings.Contains(err.Error(), "canary") {
					t.Errorf("answer %q, error %v", data, err)
				}
				h := b.hooks(func(c *Config) { c.WebhookRetryFor = time.Second })
				h.Occupied("a")
				time.Sleep(3 * time.Second)
				_ = h.stop(time.Second)
				if h.Err() == nil || b.logs.Len() < 2 {
					t.Errorf("%v, %d lines", h.Err(), b.logs.Len())
				}
				for _, entry := range b.logs.All() {
					if line := entry.Message + fmt.Sprint(entry.ContextMap()); strings.Contains(line, "canary") {
						t.Error(line)
					}
				}
			})
		})
	}
}

func TestMoreCallsThanMayBeAtOnceAreRefusedAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, b *backend) {
		b.handles(hang)
		c := b.caller()
		var running sync.WaitGroup
		for range 2 {
			running.Go(func() { c.fails(wire.Unavailable) })
		}
		synctest.Wait()
		begin := time.Now()
		c.fails(wire.Unavailable)
		if time.Since(begin) != 0 || c.Stats().Running != 2 {
			t.Errorf("waited %v, %d running", time.Since(begin), c.Stats().Running)
		}
		c.counted(busy, 1)
		running.Wait()
		b.answers(200, `{}`)
		c.works()
	})
}

func TestShutdownEndsACallThatHangs(t *testing.T) {
	inBubble(t, func(t *testing.T, b *backend) {
		b.handles(hang)
		c := b.caller()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		begin := time.Now()
		if _, err := c.call(ctx); !wire.IsCode(err, wire.Unavailable) || time.Since(begin) != time.Second {
			t.Errorf("error %v after %v", err, time.Since(begin))
		}
		c.counted(cancelled, 1)
		if c.Err() != nil {
			t.Error("the breaker counted it")
		}
	})
}

func TestAReloadForgetsWhatThePolicyNoLongerNames(t *testing.T) {
	inBubble(t, func(t *testing.T, b *backend) {
		c := b.caller()
		doc := func(hosts ...string) string {
			out := "routes:\n"
			for _, h := range hosts {
				out += fmt.Sprintf("  - {match: %s, http: {url: \"http://%s/\"}}\n", h, h)
			}
			return out
		}
		call := func(event string) {
			if r := c.live.Route(event); r != nil {
				_, _ = c.Call(t.Context(), r.HTTP, order())
			}
		}
		c.live.Set(parse(t, doc("a", "b")))
		call("a")
		call("b")
		kept := c.known[*c.live.Route("b").HTTP]
		c.live.Set(parse(t, doc("b", "c")))
		call("c")
		if len(c.known) != 2 || kept == nil || c.known[*c.live.Route("b").HTTP] != kept {
			t.Errorf("known: %v", c.known)
		}
	})
}

func FuzzAnswers(f *testing.F) {
	for _, body := range []string{``, `{}`, `{"code":"e","message":"m"}`, `{"code":"\ud800","message":"\u0000"}`, `[`, "\"\xff\"", `{"code":{"code":"e"}}`} {
		for _, status := range []int{200, 204, 302, 400, 404, 500} {
			f.Add(status, []byte(body), false)
		}
	}
	f.Fuzz(func(t *testing.T, status int, body []byte, long bool) {
		data, how, err := judge(response{status, body, long})
		var e *wire.Error
		switch {
		case err == nil && (how != answered || status < 200 || status > 299 || data != nil && !validJSON(data)):
			t.Errorf("%d %q became %q (%s)", status, body, data, Outcomes()[how])
		case err == nil:
		case !errors.As(err, &e) || data != nil || how == answered || len(e.Message) > maxMessage || !isLine(e.Message):
			t.Errorf("%d %q became %+v", status, body, err)
		case e.Reason != "" && (!isWord(e.Reason) || status < 400 || status > 499):
			t.Errorf("%d %q gives the reason %q", status, body, e.Reason)
		}
	})
}
