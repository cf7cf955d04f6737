package gateway

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/transport/pipe"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// beating is a connection whose client answers every ping at once.
type beating struct {
	transport.Conn
	beats *atomic.Uint32
}

func (b beating) Heartbeats() (sent, answered uint32) { return b.beats.Load(), b.beats.Load() }

// recovering is a client that keeps what the library keeps.
type recovering struct {
	*far
	h        *house
	beats    *atomic.Uint32
	sid, pid string
	offset   string
}

// back connects as the library does, and returns what came.
func (h *house) back(user string, was *recovering) (*recovering, []string) {
	h.t.Helper()
	beats := new(atomic.Uint32)
	accept := h.engine.accept
	defer func() { h.engine.accept = accept }()
	h.engine.accept = func(req transport.Request) *pipe.Client {
		return pipe.New(func(c transport.Conn) transport.Handler { return req.Open(beating{c, beats}) })
	}
	c := &recovering{far: h.socket(), h: h, beats: beats}
	said := map[string]string{}
	if user != "" {
		said["token"] = user
	}
	if was != nil {
		said["pid"], said["offset"] = was.pid, was.offset
	}
	data, _ := json.Marshal(said)
	c.Text("0" + string(data))
	return c, c.take()
}

// take is what came, in short: names of events with their data, and "CONNECT".
func (c *recovering) take() (got []string) {
	c.t.Helper()
	synctest.Wait()
	for _, f := range c.Sent() {
		text := string(f.Payload())
		if answer, ok := strings.CutPrefix(text, "40"); ok {
			var a struct{ SID, PID string }
			_ = json.Unmarshal([]byte(answer), &a)
			c.sid, c.pid = a.SID, a.PID
			got = append(got, "CONNECT")
			continue
		}
		var args []json.RawMessage
		if err := json.Unmarshal([]byte(strings.TrimLeft(text, "0123456789")), &args); err != nil {
			c.t.Errorf("%s: %v", text, err)
			continue
		}
		var name, last string
		_ = json.Unmarshal(args[0], &name)
		if json.Unmarshal(args[len(args)-1], &last) == nil && last != name {
			c.offset = last
		}
		switch name {
		case "chat":
			got = append(got, "chat "+string(args[1]))
		case "room_joined":
			var j struct {
				Room      string
				Recovered bool
			}
			_ = json.Unmarshal(args[1], &j)
			got = append(got, fmt.Sprint("in ", j.Room, " ", j.Recovered))
		default:
			got = append(got, name)
		}
	}
	return got
}

func (h *house) publish(room string, data any) {
	h.t.Helper()
	if _, err := h.router.SendRoom(h.t.Context(), room, router.Outgoing{Event: "chat", Data: []byte(fmt.Sprint(data))}); err != nil {
		h.t.Fatal(err)
	}
	synctest.Wait()
}

// cut ends the connection as a network does.
func (c *recovering) cut() {
	c.Close(wire.Close{Code: wire.CloseAbnormal})
	synctest.Wait()
}

func (c *recovering) enter(rooms ...string) *recovering {
	for _, room := range rooms {
		c.Text(`2["join_room",{"room":"` + room + `"}]`)
		synctest.Wait()
	}
	c.take()
	return c
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if g, w := strings.Join(got, ", "), strings.Join(want, ", "); g != w {
		t.Errorf("got %s\nwant %s", g, w)
	}
}

var (
	recoverable = wishes{recover: time.Minute}
	guestName   = regexp.MustCompile(`user:guest\S* `)
	fresh       = []string{"CONNECT", "connected", "in user:ann false"}
)

func TestASessionThatWasCutIsRecovered(t *testing.T) {
	inHouse(t, recoverable, func(t *testing.T, h *house) {
		a, got := h.back("ann", nil)
		expect(t, got, fresh...)
		a.enter("x", "y")
		h.publish("x", 1)
		h.publish("y", 2)
		h.publish("x", 3)
		expect(t, a.take(), "chat 1", "chat 2", "chat 3")
		a.cut()
		h.publish("x", 4)
		h.publish("y", 5)
		h.publish("user:ann", 6)
		// The offset's room goes on behind it, the others at their checkpoint,
		// which for y is its beginning.
		b, got := h.back("ann", a)
		expect(t, got, "in user:ann true", "chat 6", "in x true", "chat 4", "in y true", "chat 2", "chat 5", "CONNECT", "connected")
		if a.sid != b.sid || a.pid != b.pid || h.sockets.Stats().Recovered != 1 || h.hub.Count() != 1 {
			t.Errorf("%v, then %v; %+v, %d sessions", a, b, h.sockets.Stats(), h.hub.Count())
		}
		h.publish("y", 7)
		expect(t, b.take(), "chat 7")
		// Again, and once only.
		b.cut()
		c, got := h.back("ann", b)
		expect(t, got, "in user:ann true", "chat 6", "in x true", "chat 4", "in y true", "CONNECT", "connected")
		d, got := h.back("ann", b) // c is the client's own, which it has lost
		expect(t, got, "in user:ann true", "chat 6", "in x true", "chat 4", "in y true", "CONNECT", "connected")
		c.ended(wire.CloseAbnormal)
		d.bye()
	})
}

func TestWhatAClientHasAnsweredForIsNotReplayed(t *testing.T) {
	inHouse(t, recoverable, func(t *testing.T, h *house) {
		a, _ := h.back("ann", nil)
		a.enter("x", "y")
		h.publish("y", 1)
		h.publish("x", 2)
		time.Sleep(6 * time.Second) // noted
		h.publish("y", 3)
		a.beats.Store(1)
		time.Sleep(5 * time.Second) // counts
		h.publish("x", 4)
		a.take()
		a.cut()
		b, got := h.back("ann", a)
		expect(t, got, "in user:ann true", "in x true", "in y true", "chat 3", "CONNECT", "connected")
		b.bye()
	})
}

func TestWhatCannotBeRecoveredIsANewSession(t *testing.T) {
	for name, c := range map[string]struct {
		before func(h *house, a *recovering)
		user   string
		want   string // "" is what a new session gets
	}{
		"another user's": {user: "bob", want: "CONNECT, connected, in user:bob false"},
		"a guest":        {user: "-", want: "CONNECT, connected, in user:guest false"},
		"another pid":    {before: func(_ *house, a *recovering) { a.pid = a.pid[1:] + "x" }},
		"a long pid":     {before: func(_ *house, a *recovering) { a.pid = strings.Repeat("x", 1000) }},
		"too late":       {before: func(*house, *recovering) { time.Sleep(61 * time.Second) }},
		"a position out of the history": {before: func(h *house, _ *recovering) {
			for i := range 20 {
				h.publish("x", i)
			}
		}},
		"more than fits": {before: func(h *house, _ *recovering) { h.publish("x", `"`+strings.Repeat("x", 20_000)+`"`) }},
		"another policy": {before: func(h *house, _ *recovering) {
			p, err := policy.Parse([]byte("version: 1\nrooms: [{match: other, join: anyone, publish: member}]"))
			if err != nil {
				h.t.Fatal(err)
			}
			h.live.Set(p)
		}},
		"an offset that is none": {before: func(h *house, a *recovering) {
			a.offset = "x y z"
			h.publish("x", 9)
		}, want: "in user:ann true, in x true, chat 1, chat 9, CONNECT, connected"},
		"an offset of nothing that was": {before: func(_ *house, a *recovering) { a.offset = "x AAAAAAAB.7.AAAAAAAC" }},
		"an offset of another room":     {before: func(_ *house, a *recovering) { a.offset = "z AAAAAAAB.7.AAAAAAAC" }, want: "in user:ann true, in x true, chat 1, CONNECT, connected"},
	} {
		t.Run(name, func(t *testing.T) {
			inHouse(t, recoverable, func(t *testing.T, h *house) {
				a, _ := h.back("ann", nil)
				a.enter("x")
				h.publish("x", 1)
				a.take()
				a.cut()
				if c.before != nil {
					c.before(h, a)
				}
				user := c.user
				switch user {
				case "":
					user = "ann"
				case "-":
					user = ""
				}
				b, got := h.back(user, a)
				want := c.want
				if want == "" {
					want = strings.Join(fresh, ", ")
				}
				line := strings.Join(got, ", ")
				if c.user == "-" {
					line = guestName.ReplaceAllString(line, "user:guest ")
				}
				if name == "another policy" {
					want = strings.Join(fresh, ", ")
				}
				if line != want {
					t.Errorf("got %s\nwant %s", line, want)
				}
				if recovered := strings.Contains(c.want, "true"); (a.sid == b.sid && a.pid == b.pid) != recovered {
					t.Errorf("recovered is not %v", recovered)
				}
				if n := h.hub.Count(); n != 1 {
					t.Errorf("%d sessions", n)
				}
				b.bye()
			})
		})
	}
}

func TestWhoHasLeftIsNotRecovered(t *testing.T) {
	for name, leave := range map[string]func(h *house, a *recovering){
		"by itself": func(_ *house, a *recovering) { a.Text("1"); synctest.Wait(); a.cut() },
		"sent away": func(h *house, a *recovering) { h.router.Disconnect(a.sid); synctest.Wait(); a.cut() },
		"revoked and let go": func(h *house, a *recovering) {
			_, _ = h.router.RevokeUser("ann", time.Now().Add(time.Second))
			synctest.Wait()
			a.cut()
			time.Sleep(5 * time.Second)
		},
		"before it had begun": func(_ *house, a *recovering) { a.cut(); a.pid = "" },
	} {
		t.Run(name, func(t *testing.T) {
			inHouse(t, recoverable, func(t *testing.T, h *house) {
				a, _ := h.back("ann", nil)
				leave(h, a)
				b, got := h.back("ann", a)
				expect(t, got, fresh...)
				b.bye()
			})
		})
	}
}

func TestARevokedUserDoesNotComeBack(t *testing.T) {
	inHouse(t, recoverable, func(t *testing.T, h *house) {
		a, _ := h.back("ann", nil)
		a.cut()
		if _, err := h.router.RevokeUser("ann", time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		w := h.socket()
		w.say(`0{"token":"ann","pid":"`+a.pid+`"}`, `44{"message":…`)
		w.bye()
	})
}

func TestAGuestIsRecoveredAsTheOneItWas(t *testing.T) {
	inHouse(t, recoverable, func(t *testing.T, h *house) {
		a, _ := h.back("", nil)
		a.enter("x")
		user := h.hub.Session(a.sid).Identity().UserID
		a.cut()
		h.publish("x", 1)
		b, got := h.back("", a)
		if len(got) != 5 || got[2] != "chat 1" && got[3] != "chat 1" || b.sid != a.sid || h.hub.Session(b.sid).Identity().UserID != user {
			t.Errorf("%q", got)
		}
		b.bye()
	})
}

func TestRoomsThatWereLeftAreNotEnteredAgain(t *testing.T) {
	inHouse(t, recoverable, func(t *testing.T, h *house) {
		a, _ := h.back("ann", nil)
		a.enter("x", "y")
		a.Text(`2["leave_room",{"room":"x"}]`)
		a.take()
		a.cut()
		b, got := h.back("ann", a)
		expect(t, got, "in user:ann true", "in y true", "CONNECT", "connected")
		b.bye()
	})
}

func TestRoomsWithoutHistoryAreEnteredAgain(t *testing.T) {
	want := recoverable
	want.rooms = `
version: 1
rooms: [{match: "**", join: anyone, publish: member}]
`
	inHouse(t, want, func(t *testing.T, h *house) {
		a, _ := h.back("ann", nil)
		a.enter("x")
		a.cut()
		h.publish("x", 1) // lost, as in such rooms
		b, got := h.back("ann", a)
		expect(t, got, "in user:ann true", "in x false", "CONNECT", "connected") // users' rooms have history
		h.publish("x", 2)
		expect(t, b.take(), "chat 2")
		b.bye()
	})
}

func TestWithoutRecoveryNothingIsSaidOfIt(t *testing.T) {
	inHouse(t, wishes{}, func(t *testing.T, h *house) {
		a, _ := h.back("ann", nil)
		a.enter("x")
		h.publish("x", 1)
		if expect(t, a.take(), "chat 1"); a.pid != "" || a.offset != "" {
			t.Errorf("%q %q", a.pid, a.offset)
		}
		a.pid = "x"
		a.cut()
		b, got := h.back("ann", a)
		expect(t, got, fresh...)
		b.bye()
	})
}
