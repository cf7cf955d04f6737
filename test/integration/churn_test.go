package integration

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// churnPolicy has a room of each slow policy, and an event that is routed.
const churnPolicy = `
version: 1
rooms:
  - {match: "cut", join: anyone, publish: member, history: {size: 5000}, presence: true}
  - {match: "drop", join: anyone, publish: member, history: {size: 5000}, slow: drop_oldest}
  - {match: "latest", join: anyone, publish: member, history: {size: 5000}, slow: conflate, presence: true}
routes:
  - {match: routed, room: drop, send: authenticated}
`

const churnSecret = "a secret of thirty-two characters"

func churnRooms() []string { return []string{"cut", "drop", "latest"} }

// churn is a time of disorder: everything that may end, move or replace a
// membership happens at once, and members check what they are told.
type churn struct {
	t     *testing.T
	g     *gateway
	ctx   context.Context
	pos   sync.Map // of each room and offset: its position, the same for all
	tally *[saws]atomic.Int64
	over  atomic.Bool // what moves members has ended
}

// What is tallied, so that a test in which nothing happens fails.
const (
	sawPublication = iota
	sawGap
	sawSkipped
	sawResume
	sawRefusal
	sawAdmission
	sawRemoval
	sawRefresh
	sawOwn
	sawExpired
	sawTooSlow
	sawDisconnected
	saws
)

func (c *churn) saw(what int) { c.tally[what].Add(1) }

// tokenFor makes a token of a user that no other is like.
func tokenFor(user string, life time.Duration) string {
	part := func(v any) string {
		b, _ := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(b)
	}
	body := part(map[string]string{"alg": "HS256", "typ": "JWT"}) + "." + part(map[string]any{
		"sub": user, "jti": rand.Uint64(), "exp": float64(time.Now().Add(life).UnixMilli()) / 1000,
	})
	mac := hmac.New(sha256.New, []byte(churnSecret))
	_, _ = mac.Write([]byte(body))
	return body + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// place is what a member has been told of a room.
type place struct {
	in   bool
	last uint64
	pos  string
}

// churner is one member over all its connections.
type churner struct {
	*churn
	name string
	slow bool

	mu     sync.Mutex
	places map[string]*place
	asked  map[int]uint64 // by request: the offset that a join resumes from
	sent   map[int]bool   // own publishes of this connection: replied to
	next   int            // request
	token  string
}

// told is what a member receives.
type told struct {
	Event, Room, Pos string
	ID               int
	Offset, Skipped  uint64
	Data             struct {
		Room, Pos, Reason, Code, By string
		From, Offset                uint64
		Recovered                   bool
		N                           int
	}
}

// take checks one message.
func (m *churner) take(raw []byte) {
	var msg told
	if err := json.Unmarshal(raw, &msg); err != nil {
		m.t.Errorf("%s: %v: %s", m.name, err, raw)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	bad := func(why string) {
		m.t.Errorf("%s: %s: %+v after %.120s", m.name, why, *m.places[max(msg.Room, msg.Data.Room)], raw)
	}
	if p := m.places[msg.Room]; p != nil {
		m.publication(&msg, p, bad)
		return
	}
	p := m.places[msg.Data.Room]
	switch {
	case msg.Event == "published":
		m.sent[msg.ID] = true
	case msg.Event == "authenticated":
		m.saw(sawRefresh)
	case p == nil:
	case msg.Event == "room_joined":
		m.joined(&msg, p, bad)
	case msg.Event == "room_left":
		if msg.Data.Reason == "removed" {
			m.saw(sawRemoval)
		}
		p.in = false
	case msg.Event == "gap":
		if !p.in || msg.Data.Room != "drop" || msg.Data.From != p.last || msg.Data.Offset <= p.last || msg.Data.Pos == "" {
			bad("gap")
		}
		m.saw(sawGap)
		p.last, p.pos = msg.Data.Offset, msg.Data.Pos
	}
}

func (m *churner) publication(msg *told, p *place, bad func(string)) {
	m.saw(sawPublication)
	if !p.in {
		bad("not in the room")
	}
	if msg.Skipped > 0 {
		m.saw(sawSkipped)
		if msg.Room != "latest" {
			bad("skipped")
		}
	}
	if msg.Offset != p.last+1+msg.Skipped {
		bad("a hole, or again")
	}
	if was, known := m.pos.LoadOrStore(fmt.Sprint(msg.Room, msg.Offset), msg.Pos); known && was != msg.Pos {
		bad("another publication than others got")
	}
	if replied, own := m.sent[msg.Data.N]; own && msg.Data.By == m.name {
		m.saw(sawOwn)
		if !replied {
			bad("the own copy before the reply")
		}
	}
	p.last, p.pos = msg.Offset, msg.Pos
}

func (m *churner) joined(msg *told, p *place, bad func(string)) {
	from, known := m.asked[msg.ID]
	switch {
	case msg.ID == 0:
		m.saw(sawAdmission)
	case !known:
		bad("a reply to nothing")
	case from > 0 && msg.Data.Recovered:
		m.saw(sawResume)
		if msg.Data.Offset != from {
			bad(fmt.Sprint("resumed from elsewhere than ", from))
		}
	case from > 0:
		m.saw(sawRefusal)
		if msg.Data.Reason == "" {
			bad("refused without a reason")
		}
	}
	delete(m.asked, msg.ID)
	p.in, p.last, p.pos = true, msg.Data.Offset, msg.Data.Pos
}

// say sends one request; room_joined and published are known by its id.
func (m *churner) say(conn *websocket.Conn, event string, data map[string]any) bool {
	m.mu.Lock()
	m.next++
	id := m.next
	if p := m.places[fmt.Sprint(data["room"])]; p != nil && event == "join_room" {
		m.asked[id] = p.last
		if p.pos != "" {
			data["since"] = p.pos
		} else {
			m.asked[id] = 0
		}
	}
	if body, ok := data["data"].(map[string]any); ok {
		body["n"] = id
		m.sent[id] = false
	}
	if event == "routed" {
		data["n"] = id
		m.sent[id] = false
	}
	m.mu.Unlock()
	b, err := json.Marshal(map[string]any{"event": event, "id": id, "data": data})
	if err != nil {
		m.t.Error(err)
	}
	return conn.Write(m.ctx, websocket.MessageText, b) == nil
}

// act does something at random.
func (m *churner) act(conn *websocket.Conn) bool {
	room := churnRooms()[rand.IntN(3)]
	body := func() map[string]any {
		return map[string]any{"by": m.name, "pad": strings.Repeat("x", rand.IntN(3000))}
	}
	switch n := rand.IntN(100); {
	case n < 5:
		return m.say(conn, "leave_room", map[string]any{"room": room})
	case n < 20:
		return m.say(conn, "join_room", map[string]any{"room": room})
	case n < 24:
		m.mu.Lock()
		m.token = tokenFor(m.name, 1500*time.Millisecond)
		token := m.token
		m.mu.Unlock()
		return m.say(conn, "authenticate", map[string]any{"token": token})
	case n < 40:
		return m.say(conn, "routed", body())
	default:
		return m.say(conn, "publish", map[string]any{
			"room": room, "event": "m", "data": body(), "conflateKey": fmt.Sprint(rand.IntN(4)),
		})
	}
}

// connect opens a connection, with a small window so that who does not read is
// noticed.
func (m *churner) connect(token string) (*websocket.Conn, func(), error) {
	tr := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if tcp, ok := c.(*net.TCPConn); ok && m.slow {
			_ = tcp.SetReadBuffer(4 << 10)
		}
		return c, err
	}}
	conn, _, err := websocket.Dial(m.ctx, m.g.url, &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: tr}, Subprotocols: []string{"gateway.v1"},
		HTTPHeader: http.Header{"Authorization": {"Bearer " + token}},
	})
	if err != nil {
		tr.CloseIdleConnections()
		return nil, nil, fmt.Errorf("dial: %w", err)
	}
	conn.SetReadLimit(-1)
	return conn, func() { _ = conn.CloseNow(); tr.CloseIdleConnections() }, nil
}

// live is one connection during the disorder.
func (m *churner) live() {
	m.mu.Lock()
	m.token = tokenFor(m.name, time.Duration(500+rand.IntN(1500))*time.Millisecond)
	token := m.token
	for _, p := range m.places {
		p.in = false
	}
	clear(m.sent)
	clear(m.asked)
	m.mu.Unlock()
	conn, end, err := m.connect(token)
	if err != nil {
		time.Sleep(5 * time.Millisecond) // the user is revoked for a moment
		return
	}
	var acting sync.WaitGroup
	gone := make(chan struct{})
	acting.Go(func() {
		for _, room := range churnRooms() {
			m.say(conn, "join_room", map[string]any{"room": room})
		}
		for !m.over.Load() && m.act(conn) {
			select {
			case <-gone:
				return
			case <-time.After(time.Duration(rand.IntN(6)) * time.Millisecond):
			}
		}
		end()
	})
	for {
		_, raw, err := conn.Read(m.ctx)
		if err != nil {
			m.ended(err)
			break
		}
		m.take(raw)
		if m.slow && rand.IntN(20) == 0 {
			time.Sleep(time.Duration(rand.IntN(400)) * time.Millisecond)
		}
		if rand.IntN(3000) == 0 {
			break
		}
	}
	close(gone)
	end()
	acting.Wait()
}

func (m *churner) ended(err error) {
	var c websocket.CloseError
	if !errors.As(err, &c) {
		return
	}
	switch wire.CloseCode(c.Code) {
	case wire.CloseTokenExpired:
		m.saw(sawExpired)
	case wire.CloseTooSlow:
		m.saw(sawTooSlow)
	case wire.CloseDisconnected, wire.CloseUnauthenticated: // revoked as it came
		m.saw(sawDisconnected)
	default:
		m.t.Errorf("%s: %v", m.name, err)
	}
}

// settle resumes once more and reads until it has seen what there is.
func (m *churner) settle(tops map[string]uint64) {
	m.slow = false
	clear(m.sent)
	clear(m.asked)
	conn, end, err := m.connect(tokenFor(m.name, time.Hour))
	if err != nil {
		m.t.Errorf("%s: %v", m.name, err)
		return
	}
	defer end()
	for room, p := range m.places {
		p.in = false
		m.say(conn, "join_room", map[string]any{"room": room})
	}
	for {
		done := true
		for room, p := range m.places {
			done = done && p.in && p.last >= tops[room] // what was on its way may have come behind it
		}
		if done {
			return
		}
		_, raw, err := conn.Read(m.ctx)
		if err != nil {
			m.t.Errorf("%s: %v", m.name, err)
			return
		}
		m.take(raw)
	}
}

// backend moves members, ends connections and publishes, as backends do.
func (c *churn) backend(members []*churner) {
	for !c.over.Load() && !c.t.Failed() {
		m := members[rand.IntN(len(members))]
		room := churnRooms()[rand.IntN(3)]
		switch n := rand.IntN(200); {
		case n == 0:
			c.g.router.DisconnectUser(m.name)
		case n == 1:
			m.mu.Lock()
			token := m.token
			m.mu.Unlock()
			if _, err := c.g.router.RevokeToken(token); err != nil {
				c.t.Error(err)
			}
		case n == 2:
			if _, err := c.g.router.RevokeUser(m.name, time.Now().Add(20*time.Millisecond)); err != nil {
				c.t.Error(err)
			}
		case n < 30:
			_, _ = c.g.router.Unsubscribe(router.Target{User: m.name}, room)
		case n < 90:
			_, _ = c.g.router.Subscribe(c.ctx, router.Target{User: m.name}, room)
		default:
			c.burst(room)
		}
		time.Sleep(time.Duration(rand.IntN(3)) * time.Millisecond)
	}
}

// burst publishes more than a small queue and window hold.
func (c *churn) burst(room string) {
	for range rand.IntN(20) {
		data := fmt.Appendf(nil, `{"by":"backend","pad":%q}`, strings.Repeat("y", rand.IntN(6000)))
		_, err := c.g.router.SendRoom(c.ctx, room, router.Outgoing{
			Event: "m", Data: data, ConflateKey: fmt.Sprint(rand.IntN(4)), Except: []string{"somebody"},
		})
		if err != nil {
			c.t.Error(err)
		}
	}
}

// Whatever moves members and ends connections, a member's stream goes on by
// one, or says why it does not; and nothing is left of anybody.
func TestMembersAreToldTheTruthInDisorder(t *testing.T) {
	var tally [saws]atomic.Int64 // of both modes
	t.Run("parked", func(t *testing.T) { disorder(t, &tally, false, "TRANSPORT=parked") })
	t.Run("goroutine", func(t *testing.T) { disorder(t, &tally, true, "TRANSPORT=goroutine") })
	for what := range saws {
		if n := tally[what].Load(); n == 0 {
			t.Errorf("%s was never seen: the test shows nothing", [...]string{"a publication", "a gap", "a skip", "a resume", "a refusal", "an admission",
				"a removal", "a refresh", "an own copy", "an expiry", "a slow cut", "a disconnection"}[what])
		}
	}
}

func disorder(t *testing.T, tally *[saws]atomic.Int64, all bool, environ ...string) {
	g := start(t, churnPolicy, append(environ, "AUTH_MODE=jwt", "AUTH_JWT_SECRET="+churnSecret, "AUTH_JWT_LEEWAY=0s",
		"TOKEN_EXPIRY_NOTICE=300ms", "SEND_QUEUE_BYTES=65536", "SEND_BUDGET_BYTES=200000", "CLOSE_TIMEOUT=1s")...)
	before := runtime.NumGoroutine()
	c := &churn{t: t, g: g, ctx: patience(t), tally: tally}
	var members []*churner
	for n := range 10 {
		m := &churner{churn: c, name: fmt.Sprint("m", n), slow: n%2 == 0, places: map[string]*place{}, asked: map[int]uint64{}, sent: map[int]bool{}}
		for _, room := range churnRooms() {
			m.places[room] = &place{}
		}
		members = append(members, m)
	}
	var wg sync.WaitGroup
	for _, m := range members {
		wg.Go(func() {
			for !c.over.Load() && !t.Failed() {
				m.live()
			}
		})
	}
	for range 2 {
		wg.Go(func() { c.backend(members) })
	}
	c.enough(all)
	c.over.Store(true)
	wg.Wait()
	tops := map[string]uint64{}
	for _, room := range churnRooms() {
		tops[room] = c.top(room)
	}
	time.Sleep(30 * time.Millisecond) // until the last revocation has ended
	for _, m := range members {
		wg.Go(func() { m.settle(tops) })
	}
	wg.Wait()
	c.left(before)
	st := g.transport.Stats()
	t.Logf("%v published; %d dropped, %d conflated, %d cut as slow, %d for the budget", tops, st.Dropped, st.Conflated, st.SlowCuts, st.BudgetCuts)
}

// enough waits a little and, if all must be seen, until everything was.
func (c *churn) enough(all bool) {
	least := 1500 * time.Millisecond
	if long() {
		least = 2 * time.Minute
	}
	most := time.Now().Add(20 * least) // on a busy machine; on an idle one all is seen by now
	time.Sleep(least)
	seen := func() bool {
		for what := range saws {
			if c.tally[what].Load() == 0 {
				return false
			}
		}
		return true
	}
	for all && !seen() && !c.t.Failed() && time.Now().Before(most) {
		time.Sleep(10 * time.Millisecond)
	}
}

// top is the last offset of a room.
func (c *churn) top(room string) uint64 {
	var h router.History
	for more := true; more; more = h.More {
		var err error
		if h, err = c.g.router.ReadHistory(c.ctx, room, h.At, 1000); err != nil {
			c.t.Fatal(err)
		}
	}
	return h.At.Offset
}

// left waits until nothing is left of the members.
func (c *churn) left(goroutines int) {
	for c.ctx.Err() == nil && !c.empty(goroutines) {
		time.Sleep(10 * time.Millisecond)
	}
	if !c.empty(goroutines) {
		c.t.Errorf("left: %+v, %+v, grants %d, pending %d, %d goroutines instead of %d", c.g.hub.Stats(), c.g.transport.Stats(),
			c.g.router.Stats().Grants, c.g.router.Pending(), runtime.NumGoroutine(), goroutines)
	}
}

func (c *churn) empty(goroutines int) bool {
	hub, tr := c.g.hub.Stats(), c.g.transport.Stats()
	return hub.Sessions+hub.Rooms+hub.Memberships+tr.Open+tr.QueuedBytes+tr.HeldBytes+c.g.router.Pending()+c.g.router.Stats().Grants == 0 &&
		runtime.NumGoroutine() <= goroutines
}
