package router

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// A client and a backend put a connection into a room and take it out, both at
// any time. What the client is told is true in the order in which it is told.
func TestAClientAndABackendDecideAboutAMembershipAtOnce(t *testing.T) {
	for _, elsewhere := range []bool{false, true} {
		const rounds, room = 300, "room:1"
		r := start(t, options{rooms: deep, elsewhere: elsewhere, hub: hub.Config{MaxRooms: 10, CatchUpBytes: 4 << 20}})
		stay, c := r.open(sessionOf("stay")), r.open(sessionOf("ann"))
		stay.Text(join(room))
		var wg sync.WaitGroup
		done := make(chan struct{})
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, err := r.router.SendRoom(context.Background(), room, Outgoing{Event: "m"}); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			defer close(done)
			var both sync.WaitGroup
			both.Go(func() {
				for range rounds {
					if _, err := r.router.Subscribe(context.Background(), Target{Connection: c.s.ID()}, room); err != nil {
						t.Error(err)
					}
					if _, err := r.router.Unsubscribe(Target{Connection: c.s.ID()}, room); err != nil {
						t.Error(err)
					}
					if _, err := r.router.Subscribe(context.Background(), Target{Connection: c.s.ID()}, room); err != nil {
						t.Error(err)
					}
				}
			})
			both.Go(func() {
				for range rounds {
					c.Text(`{"event":"leave_room","id":1,"data":{"room":"` + room + `"}}`)
					c.Text(`{"event":"join_room","id":2,"data":{"room":"` + room + `"}}`)
					c.Text(`{"event":"leave_room","id":1,"data":{"room":"` + room + `"}}`)
				}
			})
			both.Wait()
			c.Text(`{"event":"ping","id":3}`)
		})
		in, last, replies := false, uint64(0), 0
		for over := false; !over; {
			raw := c.Next()
			var f frame
			if err := json.Unmarshal(raw.Payload(), &f); err != nil {
				t.Error(err)
			}
			if strings.Contains(string(raw.Payload()), `"id":`) {
				replies++
			}
			switch {
			case f.Event == "pong":
				over = true
			case f.Event == "room_joined" && f.Data.Room == room:
				in, last = true, f.Data.Offset
			case f.Event == "room_left":
				in = false
			case f.Room != "" && !in:
				t.Errorf("elsewhere %v: %s out of the room", elsewhere, raw.Payload())
			case f.Room != "":
				if f.Offset != last+1 {
					t.Errorf("elsewhere %v: %d follows %d", elsewhere, f.Offset, last)
				}
				last = f.Offset
			}
			over = over || t.Failed()
		}
		wg.Wait()
		if !t.Failed() && (in != r.hub.Seated(c.s, room) || replies != 3*rounds+1) {
			t.Errorf("elsewhere %v: told that it is in: %v, and is: %v; %d replies", elsewhere, in, !in, replies)
		}
		c.Close(wire.Close{Code: 1000})
		stay.Close(wire.Close{Code: 1000})
		r.stop()
		if st := r.hub.Stats(); st.Sessions != 0 || st.Rooms != 0 || st.Memberships != 0 {
			t.Errorf("left: %+v", st)
		}
	}
}

// A join that a backend's removal overtakes is answered all the same.
func TestAJoinThatIsOvertakenByARemovalIsAnswered(t *testing.T) {
	inBubble(t, options{elsewhere: true}, func(t *testing.T, r *rig) {
		c := r.user("ann")
		gate := make(chan struct{})
		r.remote.do(func(_ context.Context, op, room string) error {
			if op == "history" && room == "open:1" {
				<-gate
			}
			return nil
		})
		c.Text(`{"event":"join_room","id":4,"data":{"room":"open:1"}}`)
		synctest.Wait()
		if n, err := r.router.Unsubscribe(Target{User: "ann"}, "open:1"); n != 1 || err != nil {
			t.Errorf("%d removed, %v", n, err)
		}
		close(gate)
		synctest.Wait()
		c.expect(`{"event":"room_left","data":{"room":"open:1","reason":"removed"}}`, failed("4", "unavailable"))
		c.Close(wire.Close{Code: 1000})
		r.empty()
	})
}
