package chaos

import (
	"context"
	"encoding/json"
	"hash/fnv"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/moonx-farm/ws-gateway/internal/wire"
	"github.com/moonx-farm/ws-gateway/test/chaos/check"
)

// subscriber reads some rooms over many connections, each to another gateway
// than the last, and resumes where it was.
type subscriber struct {
	*run
	name  string
	rooms []string
	rand  *rand.Rand // owned by live
	slow  bool       // it does not always read at once

	// Owned by visit.
	conn    *websocket.Conn
	gateway *gateway

	mu   sync.Mutex
	last map[string]wire.Position // guarded by mu; where it stands
	seat map[string]*seat         // guarded by mu; of the present connection
}

// seat is a room on one connection.
type seat struct {
	joined bool
	asked  time.Time     // of the request under way, zero for none
	since  wire.Position // that it resumes from
}

// told is what a client may be told.
type told struct {
	Event, Room, Pos string
	ID               int
	Data             json.RawMessage
}

// said is the data of what the gateway says about a room, and of errors.
type said struct {
	Room, Pos, Reason, Code, Message string
	From                             uint64
	Recovered                        bool
}

// live connects again and again.
func (s *subscriber) live(ctx context.Context) {
	for ctx.Err() == nil {
		s.gateway = s.other(s.rand, s.gateway)
		stay := time.Duration(s.rand.ExpFloat64()*float64(s.stay)) + 300*time.Millisecond
		s.visit(ctx, stay, s.rand.IntN(2) == 0)
		sleep(ctx, time.Duration(s.rand.IntN(400))*time.Millisecond)
	}
}

// dial opens a WebSocket to a gateway. The returned function ends it for good.
func dial(ctx context.Context, g *gateway, user string, slow bool) (*websocket.Conn, func(), error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	tr := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if tcp, ok := c.(*net.TCPConn); ok && slow {
			_ = tcp.SetReadBuffer(4 << 10)
		}
		return c, err
	}}
	conn, _, err := websocket.Dial(ctx, "ws://"+g.clients.Addr()+"/ws", &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: tr}, Subprotocols: []string{"gateway.v1"},
		HTTPHeader: http.Header{"Authorization": {"Bearer " + user}},
	})
	if err != nil {
		tr.CloseIdleConnections()
		return nil, nil, err
	}
	conn.SetReadLimit(-1)
	return conn, func() { _ = conn.CloseNow(); tr.CloseIdleConnections() }, nil
}

// visit is one connection.
func (s *subscriber) visit(ctx context.Context, stay time.Duration, polite bool) {
	conn, end, err := dial(ctx, s.gateway, s.name, s.slow)
	if err != nil {
		return
	}
	defer end()
	s.conn = conn
	s.history.Add(check.Event{Kind: check.Connected, Who: s.name, Gateway: s.gateway.n})
	s.mu.Lock()
	s.seat = map[string]*seat{}
	for _, room := range s.rooms {
		s.seat[room] = &seat{}
	}
	s.mu.Unlock()

	ctx, cancel := context.WithCancel(ctx)
	greeted := make(chan struct{})
	var asking sync.WaitGroup
	asking.Go(func() { s.ask(ctx, conn, greeted, stay, polite) })
	defer asking.Wait()
	defer cancel()
	for {
		m, err := s.read(ctx)
		if err != nil {
			s.history.Add(check.Event{Kind: check.Ended, Who: s.name, Gateway: s.gateway.n, Reason: err.Error()})
			return
		}
		if m.Event == wire.EventConnected {
			close(greeted)
		}
		s.take(&m)
		if s.slow && s.rand.IntN(20) == 0 && !s.calm.Load() {
			sleep(ctx, time.Duration(s.rand.IntN(1200))*time.Millisecond)
		}
	}
}

// read reads a message. Pings are answered, so one comes in time on every
// connection that is whole.
func (s *subscriber) read(ctx context.Context) (told, error) {
	ctx, cancel := context.WithTimeout(ctx, s.silence)
	defer cancel()
	var m told
	_, raw, err := s.conn.Read(ctx)
	if err == nil {
		err = json.Unmarshal(raw, &m)
	}
	return m, err
}

// ask sends what a client sends: joins until all rooms are joined, and pings.
// In the end it closes the connection, politely or by leaving.
func (s *subscriber) ask(ctx context.Context, conn *websocket.Conn, greeted <-chan struct{}, stay time.Duration, polite bool) {
	select {
	case <-greeted:
	case <-ctx.Done():
		return
	}
	leaving := time.After(stay)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		for _, request := range s.requests(n%4 == 3) {
			if write(ctx, conn, request) != nil {
				return
			}
		}
		select {
		case <-tick.C:
		case <-leaving:
			if polite {
				_ = conn.Close(websocket.StatusNormalClosure, "")
			} else {
				_ = conn.CloseNow()
			}
			return
		case <-ctx.Done():
			return
		}
	}
}

func write(ctx context.Context, conn *websocket.Conn, request any) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	b, err := json.Marshal(request)
	if err != nil {
		return err
	}
	return conn.Write(ctx, websocket.MessageText, b)
}

// request is what a client sends.
type request struct {
	Event string         `json:"event"`
	ID    int            `json:"id,omitempty"`
	Data  map[string]any `json:"data"`
}

// requests are those that are due: a join of each room that is not joined, its
// id the room's number and one.
func (s *subscriber) requests(ping bool) []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []request
	for i, room := range s.rooms {
		at := s.seat[room]
		if at.joined || time.Since(at.asked) < joinTime {
			continue
		}
		at.asked, at.since = time.Now(), s.last[room]
		data := map[string]any{"room": room}
		if !at.since.IsZero() {
			data["since"] = at.since.String()
		}
		out = append(out, request{wire.EventJoinRoom, i + 1, data})
	}
	if ping {
		out = append(out, request{Event: wire.EventPing, Data: map[string]any{}})
	}
	return out
}

// take writes down what arrived.
func (s *subscriber) take(m *told) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.Room != "" {
		s.publication(m)
		return
	}
	var d said
	if len(m.Data) > 0 && m.Data[0] == '{' {
		if err := json.Unmarshal(m.Data, &d); err != nil {
			s.problem("%s cannot read %s: %v", s.name, m.Data, err)
		}
	}
	if m.Event == wire.EventError {
		s.refused(m, &d)
		return
	}
	at := s.seat[d.Room]
	if at == nil {
		return // connected, pong, the user's own room
	}
	e := check.Event{Who: s.name, Gateway: s.gateway.n, Room: d.Room, Reason: d.Reason}
	switch m.Event {
	case wire.EventRoomJoined:
		e.Kind, e.Pos, e.Since, e.Recovered = check.Joined, s.position(d.Pos), at.since, d.Recovered
		at.joined, s.last[d.Room] = true, e.Pos
	case wire.EventGap:
		e.Kind, e.Pos, e.Offset = check.Gap, s.position(d.Pos), d.From
		s.last[d.Room] = e.Pos
	case wire.EventRoomLeft:
		e.Kind = check.Left
		at.joined, at.asked = false, time.Time{}
	default:
		return // member_joined and the like
	}
	s.history.Add(e)
}

// publication writes down one.
func (s *subscriber) publication(m *told) {
	if s.seat[m.Room] == nil {
		s.problem("%s gets %s of %s", s.name, m.Event, m.Room)
		return
	}
	e := check.Event{
		Kind: check.Received, Who: s.name, Gateway: s.gateway.n, Room: m.Room, Pos: s.position(m.Pos), Sum: sum(m.Data),
	}
	var made time.Duration
	e.Key, made = content(m.Data)
	s.history.Add(e)
	s.served[s.gateway.n].delivered(made)
	if last := s.last[m.Room]; e.Pos.Epoch != last.Epoch || e.Pos.Offset > last.Offset {
		s.last[m.Room] = e.Pos // else a copy, which a client drops
	}
}

// refused takes an error: a join is tried again where it may succeed.
func (s *subscriber) refused(m *told, d *said) {
	if d.Code != string(wire.Unavailable) || m.ID < 1 || m.ID > len(s.rooms) {
		s.problem("%s is told %s: %s", s.name, d.Code, d.Message)
		return
	}
	s.seat[s.rooms[m.ID-1]].asked = time.Now().Add(200*time.Millisecond - joinTime)
}

func (s *subscriber) position(text string) wire.Position {
	p, err := wire.ParsePosition(text)
	if err != nil {
		s.problem("%s gets the position %q", s.name, text)
	}
	return p
}

// stands tells where it is in a room.
func (s *subscriber) stands(room string) check.Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return check.Entry{Offset: s.last[room].Offset, Nonce: s.last[room].Nonce}
}

// content finds in a content its key, and when it was made.
func content(data []byte) (string, time.Duration) {
	var d struct {
		Key  string
		Made time.Duration
	}
	_ = json.Unmarshal(data, &d)
	return d.Key, d.Made
}

// sum tells contents apart.
func sum(data []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(data)
	return h.Sum64()
}

// sleep waits for a time; false when ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
