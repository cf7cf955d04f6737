package standin

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/gwproto"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/sioproto"
)

// Routed is the event that the stand-in answers as a service behind a route
// would, with the event's own data.
const Routed = "bench:ask"

// Server is the stand-in. Its zero value is the naive server.
type Server struct {
	// Fault decides what becomes of the n-th delivery to the given user: how
	// often it is sent (0: lost). Nil: always once. Immutable while serving.
	Fault func(user string, n int) int

	// PutOff tells of a user's connection that it must come back later (1013).
	// Nil: none must. Immutable while serving.
	PutOff func(user string) bool

	mu      sync.Mutex
	rooms   map[string]*room // Guarded by mu.
	clients map[*client]bool // Guarded by mu; only when drained is not nil.

	// Drainable makes the server remember its connections, for Drain.
	Drainable bool
	draining  atomic.Bool
	published atomic.Int64
}

type room struct {
	mu      sync.Mutex
	members []*client // Guarded by mu.
	offset  uint64    // Guarded by mu.
	log     []string  // Guarded by mu: what was published, by offset from 1; only of a Drainable server
}

type client struct {
	user string
	ws   *websocket.Conn
	sio  bool         // speaks Socket.IO; immutable once it is open
	got  atomic.Int64 // deliveries
}

// ServeHTTP accepts a connection and serves it until it ends.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{gwproto.Protocol}})
	if err != nil {
		return
	}
	defer func() { _ = ws.CloseNow() }()
	c := &client{user: strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), ws: ws, sio: r.URL.Path == sioproto.Path}
	if s.PutOff != nil && s.PutOff(c.user) {
		_ = ws.Close(websocket.StatusTryAgainLater, "unavailable")
		return
	}
	s.remember(c, true)
	defer s.remember(c, false)
	ctx := r.Context()
	if err := s.greet(ctx, c); err != nil {
		return
	}
	for {
		msg, err := c.read(ctx)
		if err != nil || s.handle(ctx, c, msg) != nil {
			return
		}
	}
}

// read returns the next message, as gateway.v1 has it.
func (c *client) read(ctx context.Context) ([]byte, error) {
	for {
		_, msg, err := c.ws.Read(ctx)
		if c.sio && err == nil {
			if msg = fromSocketIO(msg); msg == nil {
				continue
			}
		}
		return msg, err
	}
}

func (s *Server) greet(ctx context.Context, c *client) error {
	if c.sio {
		if err := c.open(ctx); err != nil {
			return err
		}
	}
	hello := fmt.Sprintf(`{"event":"connected","data":{"connectionId":"x","userId":%q,"heartbeatMs":25000}}`, c.user)
	if err := c.write(ctx, hello); err != nil {
		return err
	}
	return c.write(ctx, fmt.Sprintf(`{"event":"room_joined","data":{"room":"user:%s","offset":0,"pos":""}}`, c.user))
}

func (c *client) write(ctx context.Context, text string) error {
	if c.sio {
		text = toSocketIO(text)
	}
	return c.ws.Write(ctx, websocket.MessageText, []byte(text))
}

func (s *Server) handle(ctx context.Context, c *client, msg []byte) error {
	var e gwproto.Envelope
	if !gwproto.Scan(msg, &e) {
		return c.write(ctx, `{"event":"error","data":{"code":"invalid_message","message":"not a message"}}`)
	}
	switch string(e.Event) {
	case "ping":
		return c.write(ctx, fmt.Sprintf(`{"event":"pong","id":%s,"data":{"timestamp":%d}}`, e.ID, time.Now().UnixMilli()))
	case "join_room":
		return s.join(ctx, c, &e)
	case "leave_room":
		return s.leave(ctx, c, &e)
	case "publish":
		return s.publish(ctx, c, &e)
	case Routed:
		return c.write(ctx, fmt.Sprintf(`{"event":%q,"id":%s,"data":%s}`, e.Event, e.ID, e.Data))
	}
	return c.write(ctx, fmt.Sprintf(`{"event":"error","id":%s,"data":{"code":"unknown_event","message":"?"}}`, e.ID))
}

func (s *Server) join(ctx context.Context, c *client, e *gwproto.Envelope) error {
	name := gwproto.String(gwproto.Field(e.Data, "room"))
	r := s.room(name)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.members = append(r.members, c)
	var from uint64
	since := gwproto.String(gwproto.Field(e.Data, "since"))
	_, err := fmt.Sscanf(since, "x.%d.x", &from)
	resumes := err == nil && from <= r.offset && uint64(len(r.log)) == r.offset
	if !resumes {
		from = r.offset
	}
	err = c.write(ctx, fmt.Sprintf(`{"event":"room_joined","id":%s,"data":{"room":%q,"offset":%d,"pos":"x.%d.x","recovered":%v}}`,
		e.ID, name, from, from, resumes))
	for ; resumes && from < r.offset && err == nil; from++ {
		err = c.write(ctx, r.log[from])
	}
	return err
}

func (s *Server) leave(ctx context.Context, c *client, e *gwproto.Envelope) error {
	name := gwproto.String(gwproto.Field(e.Data, "room"))
	r := s.room(name)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.members = slices.DeleteFunc(r.members, func(m *client) bool { return m == c })
	return c.write(ctx, fmt.Sprintf(`{"event":"room_left","id":%s,"data":{"room":%q}}`, e.ID, name))
}

func (s *Server) publish(ctx context.Context, c *client, e *gwproto.Envelope) error {
	if s.draining.Load() {
		return c.write(ctx, fmt.Sprintf(`{"event":"error","id":%s,"data":{"code":"unavailable","message":"drain"}}`, e.ID))
	}
	name := gwproto.String(gwproto.Field(e.Data, "room"))
	r := s.room(name)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.offset++
	s.published.Add(1)
	if e.ID != nil {
		reply := fmt.Sprintf(`{"event":"published","id":%s,"data":{"room":%q,"offset":%d,"pos":""}}`, e.ID, name, r.offset)
		if err := c.write(ctx, reply); err != nil {
			return err
		}
	}
	copied := fmt.Sprintf(`{"event":"m","room":%q,"data":%s,"offset":%d,"pos":"x.%d.x"}`, name, gwproto.Field(e.Data, "data"), r.offset, r.offset)
	if s.Drainable {
		r.log = append(r.log, copied)
	}
	silent := string(gwproto.Field(e.Data, "echo")) == "false"
	for _, m := range r.members {
		if !silent || m != c {
			s.deliver(ctx, m, copied)
		}
	}
	return nil
}

// deliver sends one copy, or as many as the fault says.
func (s *Server) deliver(ctx context.Context, m *client, copied string) {
	times := 1
	if s.Fault != nil {
		times = s.Fault(m.user, int(m.got.Add(1)))
	}
	for range times {
		_ = m.write(ctx, copied) // a member that has gone ends by itself
	}
}

func (s *Server) room(name string) *room {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rooms == nil {
		s.rooms = map[string]*room{}
	}
	r := s.rooms[name]
	if r == nil {
		r = &room{}
		s.rooms[name] = r
	}
	return r
}

func (s *Server) remember(c *client, there bool) {
	if !s.Drainable {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clients == nil {
		s.clients = map[*client]bool{}
	}
	if there {
		s.clients[c] = true
	} else {
		delete(s.clients, c)
	}
}

// Published is how many publications it has taken.
func (s *Server) Published() int64 { return s.published.Load() }

// Kick says reconnect and 1012 to every connection, and goes on serving.
func (s *Server) Kick(ctx context.Context) {
	for _, c := range s.all() {
		_ = c.write(ctx, `{"event":"reconnect","data":{"reason":"rebalance","afterMs":10}}`)
		_ = c.ws.Close(websocket.StatusServiceRestart, "rebalance")
	}
}

func (s *Server) all() []*client {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*client, 0, len(s.clients))
	for c := range s.clients {
		all = append(all, c)
	}
	return all
}

// Drain refuses publications from now on, then says reconnect and 1012 to
// every connection, evenly over the window. polite false leaves out the
// reconnect event, a fault for tests.
func (s *Server) Drain(ctx context.Context, window time.Duration, polite bool) {
	s.draining.Store(true)
	all := s.all()
	for _, c := range all {
		if polite {
			_ = c.write(ctx, `{"event":"reconnect","data":{"reason":"drain","afterMs":10}}`)
		}
		_ = c.ws.Close(websocket.StatusServiceRestart, "drain")
		time.Sleep(window / time.Duration(len(all)))
	}
}
