package router

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

const deep = `
version: 1
rooms:
  - {match: "room:*", join: anyone, publish: member, history: {size: 100000}, presence: true}
`

// reader follows rooms over many connections and checks that each publication
// comes once and in order.
type reader struct {
	t    *testing.T
	r    *rig
	name string
	last map[string]seen   // by room
	from map[string]uint64 // by room: what the latest join asked for
}

type seen struct {
	offset uint64
	pos    string
}

type frame struct {
	Event  string
	Room   string
	Offset uint64
	Pos    string
	Data   struct {
		Room      string
		Recovered bool
		Offset    uint64
		Pos       string
		Code      string
		Reason    string
	}
}

// take looks at one frame; false at the end of the connection.
func (rd *reader) take(c *client) (frame, bool) {
	raw := c.Next()
	if raw == nil {
		return frame{}, false
	}
	var f frame
	if err := json.Unmarshal(raw.Payload(), &f); err != nil {
		rd.t.Errorf("%s: %v: %s", rd.name, err, raw.Payload())
	}
	switch {
	case f.Event == "gap" || f.Event == "error":
		rd.t.Errorf("%s got %s", rd.name, raw.Payload())
	case f.Event == "room_joined" && f.Data.Room == wire.UserRoom(rd.name):
	case f.Event == "room_joined":
		if from, asked := rd.from[f.Data.Room]; asked && (!f.Data.Recovered || f.Data.Offset != from) {
			rd.t.Errorf("%s resumes from %d: %s", rd.name, from, raw.Payload())
		}
		rd.last[f.Data.Room] = seen{f.Data.Offset, f.Data.Pos}
	case f.Room != "":
		if was := rd.last[f.Room]; f.Offset != was.offset+1 {
			rd.t.Errorf("%s: %d follows %d in %s", rd.name, f.Offset, was.offset, f.Room)
		}
		rd.last[f.Room] = seen{f.Offset, f.Pos}
	}
	return f, true
}

func (rd *reader) join(c *client, room string) {
	since := ""
	if was, ok := rd.last[room]; ok {
		since = `,"since":"` + was.pos + `"`
		rd.from[room] = was.offset
	}
	c.Text(`{"event":"join_room","data":{"room":"` + room + `"` + since + `}}`)
}

// follow reads until everything of all rooms was seen.
func (rd *reader) follow(in []string, total uint64) {
	done := func() bool {
		for _, room := range in {
			if rd.last[room].offset < total {
				return false
			}
		}
		return true
	}
	for !done() && !rd.t.Failed() {
		c := rd.r.open(sessionOf(rd.name))
		for _, room := range in {
			rd.join(c, room)
		}
		rd.turn(c, in, done)
		c.Close(wire.Close{Code: 1000})
	}
}

// turn is one connection: it reads, leaves and joins again, and goes.
func (rd *reader) turn(c *client, in []string, done func() bool) {
	joined := 0
	for n := rand.IntN(400); (n > 0 || joined < len(in)) && !done(); n-- {
		f, ok := rd.take(c)
		if !ok {
			rd.t.Errorf("%s: the connection ended", rd.name)
			return
		}
		if f.Event == "room_joined" && f.Data.Room != wire.UserRoom(rd.name) {
			joined++
		}
		if joined < len(in) || rand.IntN(20) > 0 {
			continue
		}
		room := in[rand.IntN(len(in))]
		if rand.IntN(2) == 0 {
			c.Text(`{"event":"leave_room","data":{"room":"` + room + `"}}`)
			for f.Event != "room_left" {
				if f, ok = rd.take(c); !ok {
					return
				}
			}
		}
		rd.join(c, room) // or resumes where it is, in the middle of the stream
		joined--
	}
}

// Everybody sees every publication once and in order, whatever joins, leaves,
// resumes and closes happen meanwhile.
func TestNothingIsLostOrDoubledInAChurn(t *testing.T) {
	for _, elsewhere := range []bool{false, true} {
		t.Run(fmt.Sprint("elsewhere ", elsewhere), func(t *testing.T) {
			const publishers, each, readers = 3, 400, 10
			r := start(t, options{rooms: deep, elsewhere: elsewhere, hub: hub.Config{MaxRooms: 10, CatchUpBytes: 4 << 20}})
			defer r.stop()
			in := []string{"room:1", "room:2", "room:3"}
			var wg sync.WaitGroup
			var ready sync.WaitGroup
			ready.Add(readers)
			for n := range readers {
				wg.Go(func() {
					rd := &reader{t: t, r: r, name: fmt.Sprint("reader", n), last: map[string]seen{}, from: map[string]uint64{}}
					c := r.open(sessionOf(rd.name))
					for _, room := range in { // before the first publication
						rd.join(c, room)
					}
					for range 2 + len(in) {
						rd.take(c)
					}
					c.Close(wire.Close{Code: 1000})
					ready.Done()
					rd.follow(in, publishers*each)
				})
			}
			ready.Wait()
			for n := range publishers {
				wg.Go(func() {
					c := r.open(sessionOf(fmt.Sprint("publisher", n)))
					for _, room := range in {
						c.Text(join(room))
					}
					replies := 0
					for i := range each {
						for _, room := range in {
							c.Text(publish(i, room, "e", ""))
						}
					}
					for replies < each*len(in) {
						f := c.Next()
						if f == nil {
							t.Error("the publisher was closed")
							return
						}
						var got frame
						if err := json.Unmarshal(f.Payload(), &got); err != nil {
							t.Error(err)
						}
						switch got.Event {
						case "published":
							replies++
						case "error":
							t.Errorf("%s", f.Payload())
							return
						}
					}
					c.Close(wire.Close{Code: 1000})
				})
			}
			wg.Wait()
			if st := r.hub.Stats(); st.Sessions != 0 || st.Rooms != 0 || st.Memberships != 0 {
				t.Errorf("left: %+v", st)
			}
			if err := r.mem.Quiesce(context.Background()); err != nil {
				t.Error(err)
			}
			if st := r.mem.Stats(); st.HandoffBytes != 0 || st.Published != publishers*each*uint64(len(in)) {
				t.Errorf("broker: %+v", st)
			}
			if r.router.publishes.inside.Load() != 0 {
				t.Error("publishes under way")
			}
		})
	}
}

// Requests of all kinds race with the end of their connection.
func TestConnectionsThatEndAtAnyTimeLeaveNothing(t *testing.T) {
	for _, elsewhere := range []bool{false, true} {
		t.Run(fmt.Sprint("elsewhere ", elsewhere), func(t *testing.T) {
			r := start(t, options{rooms: freeUsers, elsewhere: elsewhere})
			defer r.stop()
			var wg sync.WaitGroup
			for n := range 8 {
				wg.Go(func() {
					user := fmt.Sprint("u", n%3)
					auth := `{"event":"authenticate","data":{"token":"u:` + user + `"}}`
					for range 150 {
						c := r.stranger()
						var end sync.WaitGroup
						end.Go(func() {
							for range rand.IntN(8) {
								c.Next()
							}
							switch rand.IntN(3) {
							case 0:
								c.s.Abort()
							case 1:
								c.s.Close(wire.Close{Code: wire.CloseDisconnected})
							default:
								c.Close(wire.Close{Code: 1000})
							}
						})
						for _, m := range []string{auth, join("a"), publish(1, "a", "e", ""), join("user:" + user), join("b"), auth,
							publish(2, "b", "e", ""), `{"event":"leave_room","data":{"room":"a"}}`, join("a"), ping, ping, ping, ping} {
							c.Text(m)
						}
						end.Wait()
						c.Wait()
					}
				})
			}
			wg.Wait()
			r.router.Shutdown() // waits for what is under way
			if st := r.hub.Stats(); st.Sessions != 0 || st.Rooms != 0 || st.Memberships != 0 {
				t.Errorf("left: %+v", st)
			}
			if n := r.router.Stats().Errors[wire.Internal]; n != 0 {
				t.Errorf("%d internal errors", n)
			}
		})
	}
}
