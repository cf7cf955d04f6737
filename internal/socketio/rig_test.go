package socketio

import (
	"context"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/transport/pipe"
	"github.com/moonx-farm/ws-gateway/internal/wheel"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// play is an admission and the sessions that it opens.
type play struct {
	mu       sync.Mutex
	connects []Connect           // guarded by mu
	sessions []*part             // guarded by mu
	admit    func(Connect) error // nil: everybody
	wait     func(context.Context)
	receive  func(p *part, text string) bool // nil: true
	open     func(p *part)
	end      func() // called first in Closed; nil: nothing
}

// part is a session.
type part struct {
	transport.Conn
	play   *play
	id     *auth.Identity
	mu     sync.Mutex
	got    []string     // guarded by mu
	closed []wire.Close // guarded by mu
}

func (p *part) Receive(_ wire.Op, payload []byte) bool {
	p.mu.Lock()
	p.got = append(p.got, string(payload))
	p.mu.Unlock()
	return p.play.receive == nil || p.play.receive(p, string(payload))
}

func (p *part) Closed(c wire.Close) {
	if p.play.end != nil {
		p.play.end()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = append(p.closed, c)
}

func (p *part) Identity() *auth.Identity { return p.id }

func (p *part) heard() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.got, "\n")
}

// over is how the session ended, 0 if it has not.
func (p *part) over() wire.CloseCode {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch len(p.closed) {
	case 0:
		return 0
	case 1:
		return p.closed[0].Code
	}
	return 9999
}

func (pl *play) Admit(ctx context.Context, c Connect) (Admitted, error) {
	pl.mu.Lock()
	pl.connects = append(pl.connects, c)
	pl.mu.Unlock()
	if pl.wait != nil {
		pl.wait(ctx)
	}
	if pl.admit != nil {
		if err := pl.admit(c); err != nil {
			return Admitted{}, err
		}
	}
	id := &auth.Identity{UserID: "ann"}
	return Admitted{Identity: id, Open: func(conn transport.Conn) transport.Handler {
		p := &part{Conn: conn, play: pl, id: id}
		pl.mu.Lock()
		pl.sessions = append(pl.sessions, p)
		pl.mu.Unlock()
		conn.Send(said(c, "hello"))
		if pl.open != nil {
			pl.open(p)
		}
		return p
	}}, nil
}

func said(c Connect, name string) *wire.Frame { return c.Codec.Event(wire.Event{Name: name}) }

// session returns the n-th session.
func (pl *play) session(n int) *part {
	pl.mu.Lock()
	defer pl.mu.Unlock()
	return pl.sessions[n]
}

type rig struct {
	*play
	t      testing.TB
	server *Server
}

// client is the far end of an Engine.IO connection.
type client struct {
	*pipe.Client
	t testing.TB
}

// inBubble runs a test against a server whose time passes at once.
func inBubble(t *testing.T, f func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := wheel.New()
		w.Start()
		r := &rig{&play{}, t, New(Config{Namespaces: []string{"/chat"}, MaxPacketBytes: 1000}, w, zap.NewNop())}
		r.server.UseAdmission(r.play)
		f(t, r)
		synctest.Wait()
		r.server.Shutdown()
		w.Stop()
	})
}

func (r *rig) open(h ...Handshake) *client {
	return &client{pipe.New(func(c transport.Conn) transport.Handler {
		return r.server.Open(c, append(h, Handshake{})[0])
	}), r.t}
}

// join opens a connection with a socket in "/".
func (r *rig) join() (*client, *part) {
	r.t.Helper()
	c := r.open()
	c.ask("0", `40{"sid":_}`, `42["hello",null]`)
	r.mu.Lock()
	defer r.mu.Unlock()
	return c, r.sessions[len(r.sessions)-1]
}

var sid = regexp.MustCompile(`"sid":"[^"]{16}"`)

// ask sends messages and expects frames; binary ones are written with "b" in
// front.
func (c *client) ask(message string, want ...string) {
	c.t.Helper()
	if message != "" {
		c.Text(message)
	}
	synctest.Wait()
	var got []string
	for _, f := range c.Sent() {
		text := sid.ReplaceAllString(string(f.Payload()), `"sid":_`)
		if f.Op == wire.Binary {
			text = "b" + text
		}
		got = append(got, text)
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		c.t.Errorf("to %q got\n%s\nwant\n%s", message, g, w)
	}
}

func (c *client) binary(data string) {
	c.Receive(wire.Binary, []byte(data))
	synctest.Wait()
}

// ended checks how the connection has ended; 0: it has not.
func (c *client) ended(code wire.CloseCode) {
	c.t.Helper()
	synctest.Wait()
	if why, over := c.Ended(); over != (code != 0) || why.Code != code {
		c.t.Errorf("closed %v with %v, want %d", over, why, code)
	}
}

// bye ends the connection from the client's side.
func (c *client) bye() {
	c.Close(wire.Close{Code: wire.CloseNoStatus})
	synctest.Wait()
}

func (r *rig) empty() {
	r.t.Helper()
	synctest.Wait()
	if s := r.server.Stats(); s.Connections != 0 || s.Waiting != 0 || s.Sockets != 0 {
		r.t.Errorf("left: %+v", s)
	}
}
