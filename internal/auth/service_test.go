package auth

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/fault"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestTheServiceIsAskedInTheWayThatIsConfigured(t *testing.T) {
	for name, c := range map[string]struct {
		pairs                      []string
		method, path, body, bearer string
		contentType                string
	}{
		"a POST with the token in its body": {nil, "POST", "/api/v1/auth/verify", `{"token":"` + canary + `"}`, "", "application/json"},
		"a GET with a bearer":               {[]string{"AUTH_VERIFY_METHOD", "GET", "AUTH_VERIFY_PATH", "/who"}, "GET", "/who", "", "Bearer " + canary, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var got *http.Request
			var body []byte
			r := over(t, func(w http.ResponseWriter, r *http.Request) {
				got = r
				body, _ = io.ReadAll(r.Body)
				_, _ = io.WriteString(w, `{"user":{"id":"ann"}}`)
			}, c.pairs...)
			r.is("")
			if got.Method != c.method || got.URL.String() != c.path || string(body) != c.body ||
				got.Header.Get("Authorization") != c.bearer || got.Header.Get("Content-Type") != c.contentType {
				t.Errorf("%s %s %q %v", got.Method, got.URL, body, got.Header)
			}
			if got.Header.Get("X-Forwarded-For") != "203.0.113.7" || len(got.Header["Idempotency-Key"]) > 0 {
				t.Errorf("headers %v", got.Header)
			}
			r.quiet()
		})
	}
}

func TestAnAnswerBecomesAnIdentity(t *testing.T) {
	const end = 4_000_000_000
	jwt := unsigned(`{"exp":4000000000,"jti":"t1"}`)
	for name, c := range map[string]struct {
		token, body, user, claims, id string
		end                           int64
	}{
		"user":                        {canary, `{"user":{"id":"ann"}}`, "ann", "", "", 0},
		"data.user":                   {canary, `{"success":true,"data":{"user":{"id":"ann"}}}`, "ann", "", "", 0},
		"a number as id":              {canary, `{"user":{"id":42}}`, "42", "", "", 0},
		"other fields":                {canary, `{"user":{"id":"ann","role":"admin", "tags":[1,2]}}`, "ann", `{"role":"admin","tags":[1,2]}`, "", 0},
		"an end in seconds":           {canary, `{"user":{"id":"ann"},"exp":4000000000}`, "ann", "", "", end},
		"an end in milliseconds":      {canary, `{"user":{"id":"ann"},"expiresAt":4000000000000}`, "ann", "", "", end},
		"an end in words":             {canary, `{"data":{"user":{"id":"ann"},"expires_at":"2096-10-02T07:06:40Z"}}`, "ann", "", "", end},
		"a number in quotes":          {canary, `{"user":{"id":"ann"},"expiresAt":"4000000000"}`, "ann", "", "", end},
		"no end in so many words":     {canary, `{"user":{"id":"ann"},"expiresAt":null}`, "ann", "", "", 0},
		"the end of the token":        {jwt, `{"user":{"id":"ann"}}`, "ann", "", "t1", end},
		"the answer's before it":      {jwt, `{"user":{"id":"ann"},"exp":3999999999}`, "ann", "", "t1", end - 1},
		"a game's experience":         {canary, `{"user":{"id":"ann","exp":12}}`, "ann", `{"exp":12}`, "", 0},
		"keys of another case beside": {canary, `{"User":{"id":"eve"},"user":{"ID":"eve","id":"ann"}}`, "ann", `{"ID":"eve"}`, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := over(t, answer(200, c.body))
			id, err := r.Verify(t.Context(), c.token, peer())
			r.code(err, "")
			var ends int64
			if !id.ExpiresAt.IsZero() {
				ends = id.ExpiresAt.Unix()
			}
			if id.UserID != c.user || string(id.Claims) != c.claims || id.TokenID != c.id || ends != c.end ||
				id.Token != NameOf(c.token) || id.Guest {
				t.Errorf("got %+v", id)
			}
		})
	}
}

func TestAnEndFromNowIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := within(t, answer(200, `{"user":{"id":"ann"},"expiresIn":90}`))
		if id := r.is(""); time.Until(id.ExpiresAt) != 90*time.Second {
			t.Errorf("ends in %v", time.Until(id.ExpiresAt))
		}
	})
}

func TestNamedClaimsAloneAreKept(t *testing.T) {
	r := over(t, answer(200, `{"user":{"id":"ann","role":"admin","mail":"a@b"}}`), "AUTH_CLAIMS", "role")
	if id := r.is(""); string(id.Claims) != `{"role":"admin"}` {
		t.Errorf("kept %s", id.Claims)
	}
}

func TestClaimsThatAreTooLargeAreLeftOutAsAWhole(t *testing.T) {
	r := over(t, answer(200, `{"user":{"id":"ann","role":"admin","avatar":"`+strings.Repeat("x", MaxClaims)+`"}}`))
	if id := r.is(""); id.UserID != "ann" || id.Claims != nil || r.Stats().Oversize != 1 {
		t.Errorf("got %+v, %+v", id, r.Stats())
	}
}

func TestATokenIsBadOnlyWhenTheServiceSaysSo(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"401":                    answer(401, canary),
		"403":                    answer(403, ""),
		"a user, but not valid":  answer(200, `{"valid":false,"user":{"id":"ann"}}`),
		"not active":             answer(200, `{"data":{"active":false}}`),
		"an end that has passed": answer(200, `{"user":{"id":"ann"},"exp":1000000000}`),
	} {
		t.Run(name, func(t *testing.T) {
			r := over(t, h)
			for range 10 {
				r.is(wire.Unauthenticated)
			}
			if s := r.Stats(); s.Calls != 1 || s.Rejected != 10 || r.Degraded() != nil {
				t.Errorf("%+v, %v", s, r.Degraded())
			}
			r.quiet()
		})
	}
}

// silences are the ways to say neither yes nor no.
func silences() map[string]http.HandlerFunc {
	hijack := func(say string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			c, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_, _ = c.Write([]byte(strings.ReplaceAll(say, "TOKEN", tokenOf(r))))
				_ = c.Close()
			}
		}
	}
	echo := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			answer(status, strings.ReplaceAll(body, "TOKEN", tokenOf(r)))(w, r)
		}
	}
	return map[string]http.HandlerFunc{
		"a connection that breaks":  hijack(""),
		"something else than HTTP":  hijack("HELLO TOKEN\r\n\r\n"),
		"a broken status":           hijack("HTTP/1.1 TOKEN what\r\n\r\n"),
		"half an answer":            hijack("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"user\":"),
		"400":                       echo(400, "bad token TOKEN"),
		"404":                       echo(404, "TOKEN"),
		"429":                       echo(429, "TOKEN"),
		"500":                       echo(500, "TOKEN"),
		"502":                       echo(502, "TOKEN"),
		"503":                       echo(503, "TOKEN"),
		"an empty answer":           echo(200, ""),
		"text":                      echo(200, "ok TOKEN"),
		"half an object":            echo(200, `{"user":{"id":"TOKEN"}`),
		"an array":                  echo(200, `[{"user":{"id":"ann"}}]`),
		"a user without an id":      echo(200, `{"user":{"name":"TOKEN"}}`),
		"a user that is a text":     echo(200, `{"user":"TOKEN"}`),
		"an id of another case":     echo(200, `{"user":{"ID":"ann"}}`),
		"an empty id":               echo(200, `{"user":{"id":""}}`),
		"a broken number as id":     echo(200, `{"user":{"id":1.5}}`),
		"a guest's id":              echo(200, `{"user":{"id":"guest-x"}}`),
		"an id with a control code": echo(200, `{"user":{"id":"a\u0000b"}}`),
		"no success":                echo(200, `{"success":false,"user":{"id":"ann"}}`),
		"an end that is none":       echo(200, `{"user":{"id":"ann"},"expiresAt":"soon"}`),
		"an end of zero":            echo(200, `{"user":{"id":"ann"},"exp":0}`),
		"not UTF-8":                 echo(200, "{\"user\":{\"id\":\"ann\",\"x\":\"\xff\"}}"),
		"10 MB": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"user":{"id":"ann","x":"`)
			for range 10 {
				if _, err := w.Write([]byte(strings.Repeat("x", 1<<20))); err != nil {
					return
				}
			}
			_, _ = io.WriteString(w, `"}}`)
		},
		"10 MB of headers": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 10<<20))
			_, _ = io.WriteString(w, `{"user":{"id":"ann"}}`)
		},
	}
}

func TestNobodyIsLetInOrTurnedAwayWhenTheServiceSaysNeither(t *testing.T) {
	for name, h := range silences() {
		t.Run(name, func(t *testing.T) {
			r := over(t, h)
			for range longStreak {
				if id := r.is(wire.Unavailable); id.UserID != "" {
					t.Fatalf("let in %+v", id)
				}
			}
			if r.Degraded() == nil {
				t.Error("it is not degraded")
			}
			if s := r.Stats(); s.Unavailable != longStreak || s.Cached != 0 {
				t.Errorf("%+v", s)
			}
			if r.logs.FilterMessage("no answer").Len() == 0 {
				t.Error("the log says nothing")
			}
			r.quiet()
		})
	}
}

func TestNobodyIsTurnedAwayWhenNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	r := client4(t, "http://"+l.Addr().String(), nil)
	for range 10 {
		r.is(wire.Unavailable)
	}
	if s := r.Stats(); r.Degraded() == nil || s.Calls != 5 || s.Breakers[0].Refused != 5 {
		t.Errorf("%v, %+v", r.Degraded(), s)
	}
	r.quiet()
}

func TestARedirectIsNotFollowed(t *testing.T) {
	var elsewhere atomic.Int64
	r := over(t, func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/elsewhere" {
			elsewhere.Add(1)
		}
		http.Redirect(w, req, "/elsewhere", http.StatusTemporaryRedirect)
	})
	r.is(wire.Unavailable)
	if elsewhere.Load() != 0 {
		t.Error("the token was carried elsewhere")
	}
}

func TestWhatOneTokenBringsAboutLocksOutNobodyElse(t *testing.T) {
	for _, status := range []int{400, 404, 422, 429, 500} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			r := over(t, func(w http.ResponseWriter, req *http.Request) {
				if tokenOf(req) == "bad" {
					w.WriteHeader(status)
					return
				}
				_, _ = io.WriteString(w, `{"user":{"id":"ann"}}`)
			})
			for range 50 {
				_, err := r.Verify(t.Context(), "bad", peer())
				r.code(err, wire.Unavailable)
			}
			if r.Degraded() == nil {
				t.Error("50 answers without a yes or no are said by nobody")
			}
			if id := r.is(""); id.UserID != "ann" || r.Degraded() != nil {
				t.Errorf("got %+v, %v", id, r.Degraded())
			}
		})
	}
}

func TestAnAnswerThatOneTokenBringsAboutLocksOutNobodyElse(t *testing.T) {
	for name, body := range map[string]string{
		"no success":       `{"success":false,"message":"jwt malformed"}`,
		"no user":          `{"user":null}`,
		"no id":            `{"user":{"name":"ann"}}`,
		"an id too long":   `{"user":{"id":"` + strings.Repeat("x", MaxUserID+1) + `"}}`,
		"a guest's id":     `{"user":{"id":"guest-x"}}`,
		"a user too large": `{"user":{"id":"ann","x":"` + strings.Repeat("x", 70_000) + `"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			r := over(t, func(w http.ResponseWriter, req *http.Request) {
				if tokenOf(req) != "bad" {
					body = `{"user":{"id":"ann"}}`
				}
				_, _ = io.WriteString(w, body)
			})
			for range 50 {
				_, err := r.Verify(t.Context(), "bad", peer())
				r.code(err, wire.Unavailable)
			}
			if id := r.is(""); id.UserID != "ann" || r.Degraded() != nil {
				t.Errorf("got %+v, %v", id, r.Degraded())
			}
		})
	}
}

func TestATokenWithASpaceIsNone(t *testing.T) {
	r := over(t, func(http.ResponseWriter, *http.Request) { t.Error("the service is asked") })
	for _, token := range []string{" t", "t ", "t t", "Bearer t"} { // a service may trim it, and see a revoked one
		_, err := r.Verify(t.Context(), token, peer())
		r.code(err, wire.Unauthenticated)
	}
}

func TestAServiceThatHangsIsGivenUpAndThenLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		var asked atomic.Int64
		r := within(t, func(_ http.ResponseWriter, req *http.Request) {
			asked.Add(1)
			_, _ = io.Copy(io.Discard, req.Body)
			select {
			case <-hang:
			case <-req.Context().Done():
			}
		})
		defer close(hang)
		began := time.Now()
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				_, err := r.Verify(t.Context(), fmt.Sprint("t", i), peer())
				r.code(err, wire.Unavailable)
			})
		}
		wg.Wait()
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("gave up after %v", took)
		}
		r.is(wire.Unavailable) // at once
		if took := time.Since(began); took != 5*time.Second || asked.Load() != 20 || r.Degraded() == nil {
			t.Errorf("%v, %d asked, %v", took, asked.Load(), r.Degraded())
		}
	})
}

func TestAnAnswerThatNeverEndsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := within(t, func(w http.ResponseWriter, req *http.Request) {
			for req.Context().Err() == nil { // one byte a second
				_, _ = io.WriteString(w, " ")
				_ = http.NewResponseController(w).Flush()
				time.Sleep(time.Second)
			}
		})
		began := time.Now()
		r.is(wire.Unavailable)
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("gave up after %v", took)
		}
	})
}

func TestTheBreakerClosesWithinItsStatedTimeWhenTheServiceIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var away atomic.Bool
		r := within(t, func(w http.ResponseWriter, _ *http.Request) {
			if away.Load() {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			_, _ = io.WriteString(w, `{"user":{"id":"ann"}}`)
		})
		away.Store(true)
		for range 5 {
			r.is(wire.Unavailable)
		}
		calls := r.Stats().Calls
		away.Store(false)
		time.Sleep(BreakerOpenFor - time.Millisecond)
		r.is(wire.Unavailable) // it is left alone, though it would answer
		if r.Stats().Calls != calls || r.Degraded() == nil {
			t.Errorf("an open breaker asks: %+v", r.Stats())
		}
		time.Sleep(time.Millisecond + time.Nanosecond)
		r.is("")
		if err := r.Degraded(); err != nil {
			t.Errorf("still %v", err)
		}
	})
}

func TestAStormWithOneTokenMakesOneCall(t *testing.T) {
	const clients = 5000
	arrived := make(chan struct{})
	r := over(t, func(w http.ResponseWriter, req *http.Request) {
		<-arrived
		_, _ = io.WriteString(w, `{"user":{"id":"ann"}}`)
	})
	var wg sync.WaitGroup
	var in atomic.Int64
	for i := range clients {
		wg.Go(func() {
			if id, err := r.Verify(t.Context(), canary, peer()); err == nil && id.UserID == "ann" {
				in.Add(1)
			}
		})
		if i == clients/2 { // the others come while it answers, and after
			close(arrived)
		}
	}
	wg.Wait()
	if s := r.Stats(); in.Load() != clients || s.Calls != 1 || s.Accepted != clients {
		t.Errorf("%d let in, %+v", in.Load(), s)
	}
}

func TestAStormOfTokensNeverMakesMoreCallsAtOnceThanAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const clients, allowed = 5000, 64
		var now, most, asked atomic.Int64
		r := within(t, func(w http.ResponseWriter, req *http.Request) {
			n := now.Add(1)
			defer now.Add(-1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			asked.Add(1)
			token := tokenOf(req)
			time.Sleep(10 * time.Millisecond)
			_, _ = fmt.Fprintf(w, `{"user":{"id":%q}}`, token)
		}, "AUTH_MAX_CONCURRENT", fmt.Sprint(allowed))
		var wg sync.WaitGroup
		for i := range clients {
			wg.Go(func() {
				token := fmt.Sprint("t", i)
				if id, err := r.Verify(t.Context(), token, peer()); err != nil || id.UserID != token {
					t.Errorf("%s: %v, %v", token, id, err)
				}
			})
		}
		wg.Wait()
		if most.Load() != allowed || asked.Load() != clients {
			t.Errorf("%d at once, %d asked", most.Load(), asked.Load())
		}
	})
}

func TestACallerThatLeavesTakesNobodyWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		r := within(t, func(w http.ResponseWriter, _ *http.Request) {
			<-goOn
			_, _ = io.WriteString(w, `{"user":{"id":"ann"}}`)
		})
		ctx, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := r.Verify(ctx, canary, peer())
			r.code(err, wire.Unavailable)
		})
		synctest.Wait()
		wg.Go(func() { r.is("") })
		synctest.Wait()
		leave()
		synctest.Wait()
		close(goOn)
		wg.Wait()
		if s := r.Stats(); s.Calls != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestNobodyIsAskedAboutATokenWhoseClientsHaveAllLeftTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		var asked sync.Map
		r := within(t, func(w http.ResponseWriter, req *http.Request) {
			asked.Store(tokenOf(req), true)
			<-goOn
			_, _ = io.WriteString(w, `{"user":{"id":"ann"}}`)
		}, "AUTH_MAX_CONCURRENT", "1")
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = r.Verify(t.Context(), "first", peer()) })
		synctest.Wait()
		ctx, leave := context.WithCancel(t.Context())
		for range 3 {
			wg.Go(func() { _, _ = r.Verify(ctx, "gone", peer()) })
		}
		synctest.Wait()
		leave()
		synctest.Wait()
		close(goOn)
		wg.Wait()
		r.is("") // the slot is free again
		if _, found := asked.Load("gone"); found || r.Stats().Calls != 2 {
			t.Errorf("asked for nobody: %+v", r.Stats())
		}
	})
}

func TestAnswersAreRememberedForAShortWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var status atomic.Int64
		status.Store(200)
		end := time.Now().Add(4 * time.Second).Unix()
		r := within(t, func(w http.ResponseWriter, req *http.Request) {
			w.WriteHeader(int(status.Load()))
			if tokenOf(req) == "short" {
				_, _ = fmt.Fprintf(w, `{"user":{"id":"ann"},"exp":%d}`, end)
			} else {
				_, _ = io.WriteString(w, `{"user":{"id":"ann"}}`)
			}
		})
		verify := func(token string, code wire.Code, calls int64) {
			t.Helper()
			_, err := r.Verify(t.Context(), token, peer())
			r.code(err, code)
			if n := r.Stats().Calls; n != calls {
				t.Fatalf("%d calls, want %d", n, calls)
			}
		}
		verify("long", "", 1)
		verify("short", "", 2)
		status.Store(401)
		time.Sleep(4*time.Second - time.Nanosecond)
		verify("long", "", 2)
		verify("short", "", 2)
		time.Sleep(time.Nanosecond)
		verify("short", wire.Unauthenticated, 3) // never beyond its end
		verify("long", "", 3)
		time.Sleep(6 * time.Second)
		verify("long", wire.Unauthenticated, 4)
		status.Store(200)
		time.Sleep(5*time.Second - time.Nanosecond)
		verify("long", wire.Unauthenticated, 4)
		time.Sleep(time.Nanosecond)
		verify("long", "", 5)
	})
}

func TestNothingIsRememberedWhenThatIsTurnedOff(t *testing.T) {
	r := over(t, answer(200, `{"user":{"id":"ann"}}`), "AUTH_CACHE_TTL", "0s")
	r.is("")
	r.is("")
	if s := r.Stats(); s.Calls != 2 || s.Cached != 0 {
		t.Errorf("%+v", s)
	}
}

func TestWhatCannotBeATokenIsNotAskedAbout(t *testing.T) {
	r := over(t, answer(200, `{"user":{"id":"ann"}}`))
	for name, token := range map[string]string{
		"nothing": "", "a line break": "a\r\nX-Admin: 1", "a zero byte": "a\x00", "not ASCII": "ä", "too long": strings.Repeat("a", MaxToken+1),
	} {
		if _, err := r.Verify(t.Context(), token, peer()); !wire.IsCode(err, wire.Unauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s := r.Stats(); s.Calls != 0 {
		t.Errorf("%+v", s)
	}
}

func TestAClosedServiceAnswersUnavailable(t *testing.T) {
	r := over(t, answer(200, `{"user":{"id":"ann"}}`))
	r.Close()
	r.is(wire.Unavailable)
}

func TestATokenIsRefreshedOnce(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		code   wire.Code
		want   Refreshed
	}{
		"token":          {200, `{"token":"new","expiresAt":4000000000}`, "", Refreshed{"new", "", time.Unix(4_000_000_000, 0)}},
		"in data":        {200, `{"data":{"accessToken":"new","refreshToken":"next"}}`, "", Refreshed{"new", "next", time.Time{}}},
		"no token":       {200, `{}`, wire.Unavailable, Refreshed{}},
		"refused":        {401, ``, wire.Unauthenticated, Refreshed{}},
		"refused inside": {200, `{"valid":false,"token":"new"}`, wire.Unauthenticated, Refreshed{}},
		"away":           {503, ``, wire.Unavailable, Refreshed{}},
	} {
		t.Run(name, func(t *testing.T) {
			var asked []string
			r := over(t, func(w http.ResponseWriter, req *http.Request) {
				asked = append(asked, req.Method+" "+req.URL.Path+" "+tokenOf(req))
				answer(c.status, c.body)(w, req)
			})
			got, err := r.Refresh(t.Context(), canary, peer())
			r.code(err, c.code)
			if !got.ExpiresAt.Equal(c.want.ExpiresAt) || got.Token != c.want.Token || got.Next != c.want.Next {
				t.Errorf("got %+v", got)
			}
			if len(asked) != 1 || asked[0] != "POST /api/v1/auth/refresh "+canary {
				t.Errorf("asked %q", asked)
			}
			r.quiet()
		})
	}
}

func TestUserInfoIsAskedEveryTime(t *testing.T) {
	role := "guest"
	r := over(t, func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodGet || req.URL.Path != "/api/v1/auth/userinfo" || tokenOf(req) != canary {
			t.Errorf("%s %s", req.Method, req.URL)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"user": map[string]string{"id": "ann", "role": role}})
	})
	for _, role = range []string{"admin", "owner"} {
		id, err := r.UserInfo(t.Context(), canary, peer())
		if err != nil || string(id.Claims) != `{"role":"`+role+`"}` {
			t.Errorf("%+v, %v", id, err)
		}
	}
	if _, err := r.UserInfo(t.Context(), "\n", peer()); !wire.IsCode(err, wire.Unauthenticated) {
		t.Error(err)
	}
}

func TestOneQuestionWithoutAnAnswerDegradesUntilTheNextAnswer(t *testing.T) {
	status := 503
	r := over(t, func(w http.ResponseWriter, req *http.Request) { answer(status, `{"user":{"id":"ann"}}`)(w, req) })
	r.is(wire.Unavailable)
	if r.Degraded() == nil || r.Stats().Breakers[0].State != fault.Closed {
		t.Errorf("%v, %+v", r.Degraded(), r.Stats())
	}
	status = 200
	r.is("")
	if err := r.Degraded(); err != nil {
		t.Error(err)
	}
}
