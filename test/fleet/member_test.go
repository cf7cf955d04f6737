package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// member is a user who stays in a room as a client library does: over all
// connections, resuming wherever it is let in. It fails the test when something
// is missing, comes twice, or is not resumed.
type member struct {
	t          *testing.T
	user, room string
	over       context.Context
	end        context.CancelFunc
	running    sync.WaitGroup

	homes []string // URLs, tried in turn; owned by run

	mu    sync.Mutex
	in    bool      // guarded by mu; in the room now
	at    string    // guarded by mu; the instance that it is connected to
	last  uint64    // guarded by mu; offset
	pos   string    // guarded by mu
	heard []message // guarded by mu
	moves []move    // guarded by mu
}

// move is the end of a connection.
type move struct {
	reason, url string // of the event reconnect, if there was one
	code        websocket.StatusCode
	at          time.Time
}

// stay has a user stay in a room until the test ends; homes are URLs to connect
// to. It returns once the user is in the room.
func stay(t *testing.T, user, room string, homes ...string) *member {
	t.Helper()
	m := &member{t: t, user: user, room: room, homes: homes}
	m.over, m.end = context.WithCancel(context.Background())
	m.running.Go(m.run)
	t.Cleanup(func() {
		m.end()
		m.running.Wait()
	})
	until(t, user+" is in "+room, func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.in
	})
	return m
}

func (m *member) run() {
	for home := ""; m.over.Err() == nil; {
		if home == "" {
			home = m.homes[0]
			m.homes = append(m.homes[1:], home)
		}
		ws, _ := open(home, m.user)
		if home = ""; ws == nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		var after time.Duration
		home, after = m.live(ws)
		_ = ws.CloseNow()
		select {
		case <-time.After(after):
		case <-m.over.Done():
		}
	}
}

// live is one connection. It returns where the member was told to go, and
// after which time.
func (m *member) live(ws *websocket.Conn) (home string, after time.Duration) {
	join := map[string]any{"room": m.room}
	m.mu.Lock()
	since := m.pos
	m.mu.Unlock()
	if since != "" {
		join["since"] = since
	}
	b, err := json.Marshal(map[string]any{"event": "join_room", "id": 1, "data": join})
	if err == nil {
		err = ws.Write(m.over, websocket.MessageText, b)
	}
	gone := move{}
	for err == nil {
		var raw []byte
		if _, raw, err = ws.Read(m.over); err != nil {
			break
		}
		var msg message
		if err := json.Unmarshal(raw, &msg); err != nil {
			m.t.Errorf("%s got %s: %v", m.user, raw, err)
		}
		if msg.Event == "reconnect" {
			var d struct {
				Reason, URL string
				AfterMs     int64
			}
			_ = json.Unmarshal(msg.Data, &d)
			gone.reason, gone.url, after = d.Reason, d.URL, time.Duration(d.AfterMs)*time.Millisecond
			continue
		}
		if !m.take(msg, since != "") {
			break // it is not let in here for now
		}
	}
	gone.code, gone.at = websocket.CloseStatus(err), time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.in = false
	if m.over.Err() == nil {
		m.moves = append(m.moves, gone)
	}
	return gone.url, after
}

// take takes a message; false when the member is not let into the room.
func (m *member) take(msg message, resumes bool) bool {
	d := msg.data()
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case msg.Event == "connected":
		m.at = d.Instance
	case msg.Event == "error" && msg.ID == 1:
		return false
	case msg.Event == "room_joined" && d.Room == m.room:
		m.in = true
		if resumes && (!d.Recovered || d.Offset != m.last) {
			m.t.Errorf("%s at offset %d is not resumed: %s", m.user, m.last, msg.Data)
		}
		m.last, m.pos = d.Offset, d.Pos
	case msg.Event == "gap":
		m.t.Errorf("%s misses something: %s", m.user, msg.Data)
	case msg.Room == m.room:
		if msg.Offset != m.last+1 {
			m.t.Errorf("%s gets offset %d after %d", m.user, msg.Offset, m.last)
		}
		m.last, m.pos, m.heard = msg.Offset, msg.Pos, append(m.heard, msg)
	}
	return true
}

// hears waits until the member has a publication and is in the room.
func (m *member) hears(offset uint64) {
	m.t.Helper()
	until(m.t, fmt.Sprintf("%s has offset %d", m.user, offset), func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.in && m.last >= offset
	})
}

// home is the instance that the member is in the room on, "" for none.
func (m *member) home() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.in {
		return ""
	}
	return m.at
}

// all are the publications so far.
func (m *member) all() []message {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.heard[:len(m.heard):len(m.heard)]
}

// moved are the ends of its connections so far.
func (m *member) moved() []move {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.moves[:len(m.moves):len(m.moves)]
}

// talk has a backend publish to a room through one instance, one message after
// the other, until the returned function is called, which returns the last
// offset.
func (g *gateway) talk(room string) (hush func() uint64) {
	g.t.Helper()
	over := make(chan struct{})
	var wg sync.WaitGroup
	var last uint64
	wg.Go(func() {
		for n := 1; ; n++ {
			select {
			case <-over:
				return
			case <-time.After(3 * time.Millisecond):
			}
			body, _ := json.Marshal(map[string]any{"room": room, "event": "m", "data": map[string]int{"n": n}})
			status, raw := g.ask("POST", "http://"+g.admin+"/api/v1/publish", body)
			var a answer
			if err := json.Unmarshal(raw, &a); err != nil || status != 200 {
				g.t.Errorf("publish: %d %s", status, raw)
				return
			}
			last = a.Offset
		}
	})
	hush = sync.OnceValue(func() uint64 {
		close(over)
		wg.Wait()
		return last
	})
	g.t.Cleanup(func() { hush() })
	return hush
}
