package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"

	"github.com/coder/websocket"
)

// client is one WebSocket. Its methods are for one goroutine.
type client struct {
	t    *testing.T
	ws   *websocket.Conn
	user string
	id   string // of the connection
	next int    // id of the next request

	reader sync.WaitGroup

	mu   sync.Mutex
	got  []message // guarded by mu; appended to alone
	code int       // guarded by mu; of the close, -1 while it is open
}

// message is what a client receives.
type message struct {
	Event   string
	ID      int
	Room    string
	Offset  uint64
	Skipped uint64
	Pos     string
	Data    json.RawMessage
}

// body is what tests look at in the data of the gateway's own events, and in
// that of their own.
type body struct {
	Room, Pos, Reason, Code, UserID, ConnectionID, Instance, URL, Next string

	Offset       uint64
	Count        int
	Recovered    bool
	Retryable    bool
	Members      json.RawMessage
	Publications []message

	P, N int // who has published it, and which of theirs it is
}

// data reads the data of a message.
func (m message) data() body {
	var b body
	_ = json.Unmarshal(m.Data, &b) // other data stays empty
	return b
}

// users are the members that a message names; nil if it gives a number.
func (b body) users() []string {
	var list []string
	_ = json.Unmarshal(b.Members, &list)
	return list
}

// dial opens a connection; nil when it is refused, with the status.
func dial(t *testing.T, address, user string) (*client, int) {
	ws, status := open(address, user)
	if ws == nil {
		return nil, status
	}
	c := &client{t: t, ws: ws, user: user, code: -1}
	c.reader.Go(c.read)
	return c, status
}

// open opens a WebSocket; nil when it is refused, with the status.
func open(address, user string) (*websocket.Conn, int) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tr := &http.Transport{}
	ws, resp, err := websocket.Dial(ctx, address, &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: tr}, Subprotocols: []string{"gateway.v1"},
		HTTPHeader: http.Header{"Authorization": {"Bearer " + user}},
	})
	tr.CloseIdleConnections()
	if err != nil {
		if resp != nil {
			return nil, resp.StatusCode
		}
		return nil, 0
	}
	ws.SetReadLimit(-1)
	return ws, http.StatusSwitchingProtocols
}

// socket is where an instance's WebSocket is.
func (g *gateway) socket() string {
	return (&url.URL{Scheme: "ws", Host: g.public, Path: "/ws"}).String()
}

// connect opens a connection of a user, until the test ends, and waits for the
// greeting and the user's room.
func (g *gateway) connect(user string) *client {
	g.t.Helper()
	c, status := dial(g.t, g.socket(), user)
	if c == nil {
		g.t.Fatalf("%s does not let %s in: status %d", g.name, user, status)
	}
	g.t.Cleanup(c.cut)
	c.until("the user's room", func(all []message) bool {
		return slices.ContainsFunc(all, func(m message) bool { return m.Event == "room_joined" })
	})
	c.id = c.all()[0].data().ConnectionID
	return c
}

// enter connects a user and joins rooms.
func (g *gateway) enter(user string, rooms ...string) *client {
	g.t.Helper()
	c := g.connect(user)
	for _, room := range rooms {
		c.join(room, "")
	}
	return c
}

func (c *client) read() {
	for {
		_, raw, err := c.ws.Read(context.Background())
		var m message
		if err == nil {
			if err := json.Unmarshal(raw, &m); err != nil {
				c.t.Errorf("%s got %s: %v", c.user, raw, err)
			}
		}
		c.mu.Lock()
		if err != nil {
			c.code = max(0, int(websocket.CloseStatus(err)))
			c.mu.Unlock()
			return
		}
		c.got = append(c.got, m)
		c.mu.Unlock()
	}
}

// cut ends the connection without a word.
func (c *client) cut() {
	_ = c.ws.CloseNow()
	c.reader.Wait()
}

// all are the messages so far.
func (c *client) all() []message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.got[:len(c.got):len(c.got)]
}

// closed is the code of the close; 0: without one, -1: the connection is open.
func (c *client) closed() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.code
}

// until waits until what was received fulfils a condition.
func (c *client) until(what string, holds func(all []message) bool) {
	c.t.Helper()
	until(c.t, c.user+" gets "+what, func() bool {
		if holds(c.all()) {
			return true
		}
		if code := c.closed(); code >= 0 && !holds(c.all()) {
			c.t.Fatalf("%s waits for %s and gets close %d; got %s", c.user, what, code, texts(c.all()))
		}
		return false
	})
}

// ended waits for the close.
func (c *client) ended(code int) {
	c.t.Helper()
	until(c.t, c.user+"'s connection ends", func() bool { return c.closed() >= 0 })
	if got := c.closed(); got != code {
		c.t.Errorf("%s: close %d, want %d", c.user, got, code)
	}
}

// request sends an event and returns the reply.
func (c *client) request(event string, data map[string]any) message {
	c.t.Helper()
	return c.reply(c.send(event, data))
}

// send sends an event and returns the id of the request.
func (c *client) send(event string, data map[string]any) int {
	c.t.Helper()
	c.next++
	b, err := json.Marshal(map[string]any{"event": event, "id": c.next, "data": data})
	if err != nil {
		c.t.Fatal(err)
	}
	c.write(b)
	return c.next
}

func (c *client) write(b []byte) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.ws.Write(ctx, websocket.MessageText, b); err != nil {
		c.t.Errorf("%s sends %s: %v", c.user, b, err)
	}
}

// reply waits for the reply to a request.
func (c *client) reply(id int) (m message) {
	c.t.Helper()
	from := 0
	c.until(fmt.Sprintf("the reply to request %d", id), func(all []message) bool {
		for ; from < len(all); from++ {
			if all[from].ID == id {
				m = all[from]
				return true
			}
		}
		return false
	})
	return m
}

// join joins a room from a position, "" for none, which must be let.
func (c *client) join(room, since string) body {
	c.t.Helper()
	data := map[string]any{"room": room}
	if since != "" {
		data["since"] = since
	}
	m := c.request("join_room", data)
	if m.Event != "room_joined" {
		c.t.Fatalf("%s does not come into %s: %s %s", c.user, room, m.Event, m.Data)
	}
	return m.data()
}

// publish publishes the nth message of publisher p, which must be stored.
func (c *client) publish(room string, p, n int, more ...string) body {
	c.t.Helper()
	m := c.reply(c.sendPublish(room, p, n, more...))
	if m.Event != "published" {
		c.t.Fatalf("%s publishes in %s: %s %s", c.user, room, m.Event, m.Data)
	}
	return m.data()
}

// sendPublish does not wait for the reply. more is perhaps an idempotency key.
func (c *client) sendPublish(room string, p, n int, more ...string) int {
	c.t.Helper()
	data := map[string]any{"room": room, "event": "m", "data": map[string]any{"p": p, "n": n}}
	if len(more) > 0 {
		data["idempotencyKey"] = more[0]
	}
	return c.send("publish", data)
}

// flush returns when all has come that was on its way to this connection.
func (c *client) flush() {
	c.t.Helper()
	c.request("ping", map[string]any{})
}

// heard are the publications of a room.
func (c *client) heard(room string) []message { return heard(c.all(), room) }

func heard(all []message, room string) []message {
	var out []message
	for _, m := range all {
		if m.Room == room {
			out = append(out, m)
		}
	}
	return out
}

// hears waits for n publications of a room and returns them.
func (c *client) hears(room string, n int) []message {
	c.t.Helper()
	c.until(fmt.Sprintf("%d publications of %s", n, room), func(all []message) bool {
		return len(all) >= n && len(heard(all, room)) >= n
	})
	return c.heard(room)
}

// told counts what the gateway has said of a user in a room.
func (c *client) told(event, room, user string) int {
	n := 0
	for _, m := range c.all() {
		if d := m.data(); m.Event == event && d.Room == room && d.UserID == user {
			n++
		}
	}
	return n
}

// learns waits until it is told of a user.
func (c *client) learns(event, room, user string) {
	c.t.Helper()
	c.until(event+" of "+user, func([]message) bool { return c.told(event, room, user) > 0 })
}

// texts are messages as they are shown in failures.
func texts(all []message) string {
	out := ""
	for _, m := range all[max(0, len(all)-20):] {
		out += fmt.Sprintf("\n  %s %s %d %s %s", m.Event, m.Room, m.Offset, m.Pos, m.Data)
	}
	return out
}
