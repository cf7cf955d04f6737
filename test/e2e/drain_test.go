package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// peer is a client without a browser.
type peer struct {
	t  *testing.T
	ws *websocket.Conn
}

// message is what the tests read of a message.
type message struct {
	Event string
	ID    int
	Data  json.RawMessage
}

func dial(t *testing.T, p ports, user string) peer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, p.socket(), &websocket.DialOptions{
		Subprotocols: []string{"gateway.v1"},
		HTTPHeader:   http.Header{"Authorization": {"Bearer " + user}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.CloseNow() })
	return peer{t, ws}
}

func (p peer) send(format string, args ...any) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	if err := p.ws.Write(ctx, websocket.MessageText, fmt.Appendf(nil, format, args...)); err != nil {
		p.t.Fatal(err)
	}
}

func (p peer) read() (message, error) {
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	var m message
	_, b, err := p.ws.Read(ctx)
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	return m, err
}

// until reads up to an event and returns it.
func (p peer) until(event string) message {
	p.t.Helper()
	for {
		m, err := p.read()
		if err != nil {
			p.t.Fatalf("waiting for %s: %v", event, err)
		}
		if m.Event == event {
			return m
		}
	}
}

func TestSIGTERMSendsEveryClientToAnotherInstance(t *testing.T) {
	const clients = 5
	g := serve(t, freePorts(t), "DRAIN_DELAY=2s")
	var peers []peer
	for i := range clients {
		p := dial(t, g.ports, fmt.Sprintf("user%d", i))
		p.send(`{"event":"join_room","id":1,"data":{"room":"lobby"}}`)
		for m := p.until("room_joined"); m.ID != 1; m = p.until("room_joined") {
			continue // of the user's own room
		}
		peers = append(peers, p)
	}
	g.term()
	until(t, "the gateway says that it is not ready", func() bool {
		return status(g.ports.ready()) == http.StatusServiceUnavailable
	})
	refused(t, g.ports)

	// Within the delay clients are still served.
	peers[0].send(`{"event":"publish","id":2,"data":{"room":"lobby","event":"last","data":1}}`)
	peers[0].until("published")

	for i, p := range peers {
		var seen []string
		m, err := p.read()
		for ; err == nil; m, err = p.read() {
			seen = append(seen, m.Event)
			if m.Event == "reconnect" && !json.Valid(m.Data) {
				t.Errorf("client %d: reconnect with %s", i, m.Data)
			}
		}
		if code := websocket.CloseStatus(err); code != websocket.StatusServiceRestart {
			t.Errorf("client %d: close code %d, want 1012 (%v)", i, code, err)
		}
		last, goodbye := index(seen, "last"), index(seen, "reconnect")
		if last < 0 || goodbye != len(seen)-1 {
			t.Errorf("client %d: saw %v; want what was acknowledged, and reconnect as the last", i, seen)
		}
	}
	if code := g.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if status(g.ports.ready()) != 0 {
		t.Error("somebody still serves the port")
	}
}

// refused checks that a draining gateway takes nobody in, and says for how long.
func refused(t *testing.T, p ports) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ws, resp, err := websocket.Dial(ctx, p.socket(), &websocket.DialOptions{Subprotocols: []string{"gateway.v1"}})
	if err == nil {
		_ = ws.CloseNow()
		t.Fatal("a draining gateway takes a client in")
	}
	if resp == nil || resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("the refusal is %v (%v)", resp, err)
	}
}

func index(list []string, want string) int {
	for i, s := range list {
		if s == want {
			return i
		}
	}
	return -1
}

// until waits until something holds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for begun := time.Now(); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Since(begun) > patience {
			t.Fatalf("waited %v in vain until %s", patience, what)
		}
	}
}
