package gateway

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/broker/membroker"
	"github.com/moonx-farm/ws-gateway/internal/codec/jsonv1"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/limit"
	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/socketio"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/transport/pipe"
	"github.com/moonx-farm/ws-gateway/internal/wheel"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// quick is a pacer that never waits.
type quick struct{}

func (quick) Pace(context.Context) error { return nil }

// engine is an Engine.IO server of connections in memory.
type engine struct {
	accepted  *pipe.Client
	continued int
	fails     error
	accept    func(transport.Request) *pipe.Client // nil: a plain one
}

func (e *engine) Accept(req transport.Request) error {
	if e.fails != nil {
		return e.fails
	}
	if e.accept != nil {
		e.accepted = e.accept(req)
	} else {
		e.accepted = pipe.New(req.Open)
	}
	_, _ = req.W.Write([]byte("opened"))
	return nil
}

func (e *engine) Continue(w http.ResponseWriter, _ *http.Request) {
	e.continued++
	_, _ = w.Write([]byte("continued"))
}

// house is a whole gateway without a network.
type house struct {
	t        *testing.T
	hub      *hub.Hub
	router   *router.Router
	gateway  *Gateway
	sockets  *socketio.Server
	entrance *SocketIO
	engine   *engine
	limits   *limit.Limiter
	live     *policy.Live
}

const houseRooms = `
version: 1
rooms:
  - {match: "**", join: anyone, publish: member, history: {size: 10, age: 2m}}
`

type wishes struct {
	gateway Config
	limits  limit.Config
	local   bool
	recover time.Duration
	rooms   string // the policy, "" for houseRooms
}

// inHouse runs a test in a gateway whose time passes at once.
func inHouse(t *testing.T, want wishes, f func(t *testing.T, h *house)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p, err := policy.Parse([]byte(cmp.Or(want.rooms, houseRooms)))
		if err != nil {
			t.Fatal(err)
		}
		w, live, broker := wheel.New(), policy.NewLive(p), membroker.New(membroker.Config{})
		h := &house{t: t, engine: &engine{}, limits: limit.New(want.limits)}
		h.hub = hub.New(hub.Config{MaxRooms: 10, CatchUpBytes: 1 << 20}, broker, live.Lookup, quick{}, w)
		verifier := auth.Development{}
		h.router = router.New(router.Config{Instance: "here", Version: "v0"}, h.hub, broker, verifier, live, w, zap.NewNop())
		h.sockets = socketio.New(socketio.Config{Namespaces: []string{"/chat"}, Recovery: want.recover, MaxMissedBytes: 10_000}, w, zap.NewNop())
		h.live = live
		h.sockets.UseRecovery(socketio.NewMemory(), h.hub.Places)
		w.Start()
		broker.Start(h.hub)
		cfg := want.gateway
		cfg.MaxConnections, cfg.AuthDeadline, cfg.TrustedProxyHeader = 10, 10*time.Second, headerForwardedFor
		if cfg.SecurityLevel == "" {
			cfg.SecurityLevel = "minimal"
		}
		if cfg.MaxHandshakes == 0 {
			cfg.MaxHandshakes, cfg.MaxUnauthenticated = 10, 10
		}
		h.gateway, err = New(cfg, 10, Parts{
			Router: h.router, Hub: h.hub, Broker: broker, Verifier: verifier, LoopbackOnly: want.local,
			Limits: h.limits, Log: zap.NewNop(),
		})
		if err != nil {
			t.Fatal(err)
		}
		h.entrance = h.gateway.SocketIO(h.engine, h.sockets)
		f(t, h)
		synctest.Wait()
		h.sockets.Shutdown()
		h.router.Shutdown()
		h.hub.Shutdown()
		if err := broker.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		w.Stop()
	})
}

const handshakeURL = "/socket.io/?EIO=4&transport=polling"

func request(method, url string, change ...func(*http.Request)) *http.Request {
	r := httptest.NewRequest(method, "http://localhost:3007"+url, nil)
	r.RemoteAddr = "127.0.0.1:5555"
	for _, f := range change {
		f(r)
	}
	return r
}

func (h *house) ask(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.entrance.ServeHTTP(w, r)
	return w
}

// far is a client's end.
type far struct {
	*pipe.Client
	t *testing.T
}

func (h *house) socket(change ...func(*http.Request)) *far {
	h.t.Helper()
	if w := h.ask(request("GET", handshakeURL, change...)); w.Code != http.StatusOK {
		h.t.Fatalf("%d %s", w.Code, w.Body)
	}
	return &far{h.engine.accepted, h.t}
}

// plain is a client of gateway.v1.
func (h *house) plain(user string) *far {
	h.t.Helper()
	c := pipe.New(func(c transport.Conn) transport.Handler {
		return h.router.Open(c, session.Hello{Codec: jsonv1.Codec{}, Identity: &auth.Identity{UserID: user}})
	})
	synctest.Wait()
	c.Sent()
	return &far{c, h.t}
}

var volatile = regexp.MustCompile(`"(timestamp|pos|connectionId|sid|afterMs)":("[^"]*"|\d+)`)

// say sends a message and expects what comes of it; "…" stands for any rest.
func (c *far) say(message string, want ...string) {
	c.t.Helper()
	if message != "" {
		c.Text(message)
	}
	synctest.Wait()
	var got []string
	for i, f := range c.Sent() {
		line := volatile.ReplaceAllString(string(f.Payload()), `"$1":_`)
		if i < len(want) {
			if start, open := strings.CutSuffix(want[i], "…"); open && strings.HasPrefix(line, start) {
				line = want[i]
			}
		}
		got = append(got, line)
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		c.t.Errorf("to %s got\n%s\nwant\n%s", message, g, w)
	}
}

func (c *far) ended(code wire.CloseCode) {
	c.t.Helper()
	synctest.Wait()
	if why, over := c.Ended(); over != (code != 0) || why.Code != code {
		c.t.Errorf("closed %v with %v, want %d", over, why, code)
	}
}

func (c *far) bye() {
	c.Close(wire.Close{Code: wire.CloseNoStatus})
	synctest.Wait()
}

// hello connects to "/" as a user and throws the greetings away.
func (c *far) hello(user string) {
	c.t.Helper()
	c.say(fmt.Sprintf(`0{"token":%q}`, user), `40{"sid":_}`, `42["connected",{"connectionId":_,"userId":"`+user+`"…`,
		`42["room_joined",{"room":"user:`+user+`"…`)
}

func TestSocketIOClientsComeInAsUsersAndGuests(t *testing.T) {
	inHouse(t, wishes{}, func(t *testing.T, h *house) {
		c := h.socket()
		c.Text(`0{"token":"ann"}`)
		synctest.Wait()
		sent := c.Sent()
		var sid struct{ SID, ConnectionID string }
		_ = json.Unmarshal(sent[0].Payload()[2:], &sid)
		_ = json.Unmarshal(sent[1].Payload()[len(`42["connected",`):len(sent[1].Payload())-1], &sid)
		if sid.SID == "" || sid.SID != sid.ConnectionID || h.hub.Session(sid.SID) == nil {
			t.Errorf("the socket's id is not the connection's: %v", sid)
		}
		c.say(`0/chat`, `40/chat,{"sid":_}`, `42/chat,["connected",{"connectionId":_,"userId":"ann"…`, `42/chat,["room_joined"…`)
		c.say(`0/chat,{}`)
		c.ended(wire.CloseProtocolError)

		guest := h.socket()
		guest.say("0", `40{"sid":_}`, `42["connected",{"connectionId":_,"userId":"guest…`, `42["room_joined"…`)
		guest.say(`0/chat,{"token":"ann"}`, `44/chat,{"message":"the connection belongs to another user; open another one","data":{"code":"forbidden","retryable":false}}`)
		guest.say(`0/chat`, `40/chat,{"sid":_}`, `42/chat,["connected",{"connectionId":_,"userId":"guest…`, `42/chat,["room_joined"…`)
		guest.say(`21["authenticate",{"token":"ann"}]`, `431[{"ok":false,"error":{"code":"forbidden"…`)
		guest.say(`1/chat`)
		guest.say(`21["authenticate",{"token":"ann"}]`, `431[{"ok":true,"event":"authenticated","data":{"userId":"ann"…`, `42["connected"…`, `42["room_joined",{"room":"user:ann"…`)
		guest.say(`0/chat`, `40/chat,{"sid":_}`, `42/chat,["connected",{"connectionId":_,"userId":"ann"…`, `42/chat,["room_joined"…`)
		guest.bye()
		if n := h.hub.Count(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	})
}

func TestCredentialsOfTheHandshakeAndTheConnect(t *testing.T) {
	for _, c := range []struct {
		name, level, connect string
		change               func(*http.Request)
		want                 string
	}{
		{"a header", "standard", "0", with("Authorization", "Bearer ann"), ""},
		{"a token in the query", "minimal", "0", query("&token=ann"), ""},
		{"a token in the query where none is taken", "standard", "0", query("&token=ann"), "unauthenticated"},
		{"a token in the packet", "strict", `0{"token":"ann"}`, secure, ""},
		{"none where one is wanted", "standard", "0", nil, "unauthenticated"},
		{"two", "minimal", `0{"token":"ann"}`, with("Authorization", "Bearer ann"), "unauthenticated"},
		{"a header that is none", "minimal", `0{"token":"ann"}`, with("Authorization", "Basic x"), "unauthenticated"},
		{"a token that is too long", "minimal", `0{"token":"` + strings.Repeat("x", MaxToken+1) + `"}`, nil, "unauthenticated"},
		{"positions that are none", "minimal", `0{"token":"ann","since":{"a":"b"}}`, nil, "invalid_message"},
		{"positions of the query that are none", "minimal", `0{"token":"ann"}`, query("&since=x"), "invalid_message"},
	} {
		inHouse(t, wishes{gateway: Config{SecurityLevel: c.level, AllowedOrigins: []string{"https://app.example"}}}, func(t *testing.T, h *house) {
			if c.change == nil {
				c.change = func(*http.Request) {}
			}
			s := h.socket(c.change)
			s.Text(c.connect)
			synctest.Wait()
			got := ""
			for _, f := range s.Sent() {
				got += string(f.Payload()) + "\n"
			}
			if c.want == "" && !strings.Contains(got, `"userId":"ann"`) || c.want != "" && !strings.HasPrefix(got, `44{"message":`) ||
				!strings.Contains(got, c.want) || strings.Contains(got, strings.Repeat("x", 100)) {
				t.Errorf("%s: %s", c.name, got)
			}
			s.bye()
		})
	}
}

func secure(r *http.Request) {
	r.TLS = &tls.ConnectionState{}
	r.Header.Set("Origin", "https://app.example")
}

func query(more string) func(*http.Request) {
	return func(r *http.Request) { r.URL.RawQuery += more }
}

func TestRequestsAndRoomsAreThoseOfEverybody(t *testing.T) {
	inHouse(t, wishes{}, func(t *testing.T, h *house) {
		plain, socket := h.plain("bob"), h.socket()
		socket.hello("ann")
		plain.say(`{"event":"join_room","id":1,"data":{"room":"lobby"}}`, `{"event":"room_joined","id":1…`)
		socket.say(`20["join_room",{"room":"lobby"}]`, `430[{"ok":true,"event":"room_joined","data":{"room":"lobby","offset":0…`)
		socket.say(`21["publish",{"room":"lobby","event":"chat","data":{"n":1}}]`,
			`431[{"ok":true,"event":"published","data":{"room":"lobby","offset":1,"pos":_}}]`,
			`42["chat",{"n":1},{"room":"lobby","offset":1,"pos":_}]`)
		plain.say("", `{"event":"chat","room":"lobby","offset":1,"pos":_,"data":{"n":1}}`)
		plain.say(`{"event":"publish","data":{"room":"lobby","event":"chat","data":2}}`, `{"event":"chat","room":"lobby","offset":2,"pos":_,"data":2}`)
		socket.say("", `42["chat",2,{"room":"lobby","offset":2,"pos":_}]`)
		socket.say(`2["leave_room",{"room":"lobby"}]`, `42["room_left",{"room":"lobby"}]`)
		socket.say(`22["nobody"]`, `432[{"ok":false,"error":{"code":"unknown_event"…`)
		socket.say(`23["error",1]`, `433[{"ok":false,"error":{"code":"forbidden"…`)
		socket.say(`24["",1]`, `434[{"ok":false,"error":{"code":"invalid_message"…`)
		socket.say(`2["disconnecting"]`)
		socket.ended(wire.CloseProtocolError)
		plain.bye()
	})
}

func TestAPublicationIsEncodedOncePerKindOfClient(t *testing.T) {
	inHouse(t, wishes{gateway: Config{MaxHandshakes: 100, MaxUnauthenticated: 100}}, func(t *testing.T, h *house) {
		h.gateway.capacity = 100
		var all []*far
		for i := range 20 {
			c := h.plain(fmt.Sprint("p", i))
			c.Text(`{"event":"join_room","data":{"room":"lobby"}}`)
			s := h.socket()
			s.hello(fmt.Sprint("s", i))
			s.Text(`2["join_room",{"room":"lobby"}]`)
			all = append(all, c, s)
		}
		synctest.Wait()
		for _, c := range all {
			c.Sent()
		}
		if _, err := h.router.SendRoom(t.Context(), "lobby", router.Outgoing{Event: "news", Data: []byte("1")}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		frames := map[*wire.Frame]int{}
		for _, c := range all {
			for _, f := range c.Sent() {
				frames[f]++
			}
			c.bye()
		}
		if len(frames) != 2 {
			t.Errorf("%d encodings for two kinds of clients", len(frames))
		}
		for _, n := range frames {
			if n != 20 {
				t.Errorf("one went to %d clients", n)
			}
		}
	})
}

func TestWhatTheEntranceRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		r      *http.Request
		want   wishes
		status int
		body   string
	}{
		{"a foreign page", request("GET", handshakeURL, with("Origin", "https://evil.example")), wishes{}, 403, `{"code":4,"message":"the page's origin`},
		{"a foreign page with a session", request("POST", handshakeURL+"&sid=s", with("Origin", "https://evil.example")), wishes{}, 403, `{"code":4,`},
		{"a foreign page that asks first", request("OPTIONS", handshakeURL, with("Origin", "https://evil.example")), wishes{}, 403, `{"code":4,`},
		{"another host", request("GET", handshakeURL), wishes{gateway: Config{AllowedHosts: []string{"ws.example"}}}, 421, `{"code":4,`},
		{"plain HTTP at strict", request("GET", handshakeURL), wishes{gateway: Config{SecurityLevel: "strict"}}, 403, `{"code":4,`},
		{"a remote in development", request("GET", handshakeURL, remote), wishes{local: true}, 403, `{"code":4,`},
		{"too many handshakes of nobody", request("GET", handshakeURL), wishes{gateway: Config{MaxHandshakes: 10, MaxUnauthenticated: 1}}, 503, `{"code":4,"message":"too many connections wait`},
		{"too many of an address", request("GET", handshakeURL), wishes{limits: limit.Config{MaxPerAddress: 1}}, 429, `{"code":4,`},
		{"too many in all", request("GET", handshakeURL), wishes{gateway: Config{MaxHandshakes: 100, MaxUnauthenticated: 100}}, 503, `{"code":4,"message":"this instance holds`},
	} {
		inHouse(t, c.want, func(t *testing.T, h *house) {
			var in []*far
			full := map[string]int{"too many handshakes of nobody": 1, "too many of an address": 1, "too many in all": 10}[c.name]
			for range full {
				in = append(in, h.socket())
			}
			w := h.ask(c.r)
			if w.Code != c.status || !strings.HasPrefix(w.Body.String(), c.body) || !json.Valid(w.Body.Bytes()) ||
				w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Connection") != "close" {
				t.Errorf("%s: %d %s %v", c.name, w.Code, w.Body, w.Header())
			}
			if c.status == 403 && w.Header().Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s: the page is shown the answer", c.name)
			}
			if (w.Header().Get("Retry-After") != "") != (c.status == 503 || c.status == 429) {
				t.Errorf("%s: Retry-After %q", c.name, w.Header().Get("Retry-After"))
			}
			for _, s := range in {
				s.bye()
			}
			if h.engine.continued > 0 {
				t.Errorf("%s: continued", c.name)
			}
		})
	}
}

func TestPagesOfAllowedOriginsAreShownTheAnswers(t *testing.T) {
	const listed, own = "https://app.example", "http://localhost:8080"
	inHouse(t, wishes{gateway: Config{AllowedOrigins: []string{listed}}}, func(t *testing.T, h *house) {
		for _, c := range []struct {
			origin, credentials string
		}{{listed, "true"}, {own, ""}, {"", ""}} {
			for _, r := range []*http.Request{
				request("GET", handshakeURL), request("GET", handshakeURL+"&sid=s"), request("POST", handshakeURL+"&sid=s"),
				request("OPTIONS", handshakeURL+"&sid=s", with("Access-Control-Request-Headers", "authorization,x-mine")),
			} {
				if c.origin != "" {
					r.Header.Set("Origin", c.origin)
				}
				w := h.ask(r)
				g := w.Header()
				if g.Get("Access-Control-Allow-Origin") != c.origin || g.Get("Access-Control-Allow-Credentials") != c.credentials || !strings.HasPrefix(g.Get("Vary"), "Origin") {
					t.Errorf("%s from %q: %v", r.Method, c.origin, g)
				}
				if r.Method == "OPTIONS" && (w.Code != 204 || g.Get("Access-Control-Allow-Headers") != "authorization,x-mine" || g.Get("Access-Control-Allow-Methods") != "GET, POST") {
					t.Errorf("preflight %d: %v", w.Code, g)
				}
				if r.Method == "GET" && !strings.Contains(r.URL.RawQuery, "sid") {
					(&far{h.engine.accepted, t}).bye()
				}
			}
		}
		if h.engine.continued != 6 {
			t.Errorf("%d continued", h.engine.continued)
		}
	})
}

func TestWhatAFailedHandshakeHasTakenIsGivenBack(t *testing.T) {
	inHouse(t, wishes{limits: limit.Config{MaxPerAddress: 1}}, func(t *testing.T, h *house) {
		h.engine.fails = http.ErrHijacked
		for range 3 {
			h.ask(request("GET", handshakeURL))
		}
		if s := h.limits.Stats(); s.Addresses != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestAllSocketsOfAConnectionCountAsOne(t *testing.T) {
	inHouse(t, wishes{limits: limit.Config{MaxPerUser: 1, MaxPerAddress: 2}}, func(t *testing.T, h *house) {
		c, other := h.socket(), h.socket()
		c.hello("ann")
		c.say(`0/chat`, `40/chat,{"sid":_}`, `42/chat,["connected"…`, `42/chat,["room_joined"…`)
		const refused = `44{"message":"the user has as many connections as one may have","data":{"code":"limit_exceeded","retryable":true}}`
		other.say(`0{"token":"ann"}`, refused)
		c.say(`1`)
		other.say(`0{"token":"ann"}`, refused)
		if s := h.limits.Stats(); s.Users != 1 || s.Addresses != 1 {
			t.Errorf("%+v", s)
		}
		c.bye()
		other.hello("ann")
		other.bye()
		if s := h.limits.Stats(); s.Users != 0 || s.Addresses != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestARevokedUserIsRefusedAndDisconnected(t *testing.T) {
	inHouse(t, wishes{}, func(t *testing.T, h *house) {
		c := h.socket()
		c.hello("ann")
		if _, err := h.router.Revoke(router.Revocation{User: "ann", Until: time.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		c.say("", "41")
		c.say(`0{"token":"ann"}`, `44{"message":"the credential was revoked","data":{"code":"unauthenticated","retryable":false}}`)
		time.Sleep(11 * time.Second)
		c.ended(wire.CloseUnauthenticated)
	})
}

func TestADrainClosesConnectionsWithAndWithoutASocket(t *testing.T) {
	inHouse(t, wishes{}, func(t *testing.T, h *house) {
		c, waits := h.socket(), h.socket()
		c.hello("ann")
		c.say(`0/chat`, `40/chat,{"sid":_}`, `42/chat,["connected"…`, `42/chat,["room_joined"…`)
		if s := h.gateway.Standing(); s.Connections != 3 {
			t.Errorf("%+v", s)
		}
		if err := h.gateway.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		c.ended(wire.CloseServiceRestart)
		waits.ended(wire.CloseServiceRestart)
		for _, f := range c.Sent() {
			if !strings.Contains(string(f.Payload()), `["reconnect",{"reason":"drain"`) {
				t.Errorf("told %s", f.Payload())
			}
		}
		if w := h.ask(request("GET", handshakeURL)); w.Code != 503 {
			t.Errorf("let in: %d", w.Code)
		}
	})
}

// slowVerifier takes until the context ends.
type slowVerifier struct{}

func (slowVerifier) Verify(ctx context.Context, _ string, _ netip.Addr) (auth.Identity, error) {
	<-ctx.Done()
	return auth.Identity{}, ctx.Err()
}

func TestADrainRefusesNobodyANamespace(t *testing.T) {
	inHouse(t, wishes{}, func(t *testing.T, h *house) {
		h.gateway.parts.Verifier = slowVerifier{}
		c := h.socket()
		c.Text(`0{"token":"ann"}`)
		synctest.Wait()
		if err := h.gateway.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		c.say("")
		c.ended(wire.CloseServiceRestart)
	})
}

func TestATokenThatCannotBeVerifiedIsToldInTime(t *testing.T) {
	inHouse(t, wishes{}, func(t *testing.T, h *house) {
		h.gateway.parts.Verifier = slowVerifier{}
		c := h.socket()
		c.Text(`0{"token":"ann"}`)
		time.Sleep(9900 * time.Millisecond)
		c.ended(0)
		time.Sleep(200 * time.Millisecond)
		c.say("", `44{"message":"the credential could not be verified now","data":{"code":"unavailable","retryable":true}}`)
		c.bye()
	})
}

func TestBinaryDataCrosses(t *testing.T) {
	inHouse(t, wishes{}, func(t *testing.T, h *house) {
		plain, a, b := h.plain("bob"), h.socket(), h.socket()
		a.hello("ann")
		b.hello("cid")
		plain.say(`{"event":"join_room","id":1,"data":{"room":"lobby"}}`, `{"event":"room_joined","id":1…`)
		a.say(`2["join_room",{"room":"lobby"}]`, `42["room_joined"…`)
		b.say(`2["join_room",{"room":"lobby"}]`, `42["room_joined"…`)
		a.say(`51-1["publish",{"room":"lobby","event":"file","echo":false,"data":{"f":{"_placeholder":true,"num":0}}}]`)
		a.Receive(wire.Binary, []byte("xyz"))
		a.say("", `431[{"ok":true,"event":"published"…`)
		plain.say("", `{"event":"file","room":"lobby","offset":1,"pos":_,"data":{"f":{"_binary":true,"base64":"eHl6"}}}`)
		b.say("", `451-["file",{"f":{"_placeholder":true,"num":0}},{"room":"lobby","offset":1,"pos":_}]`, "xyz")
		for _, c := range []*far{plain, a, b} {
			c.bye()
		}
	})
}
