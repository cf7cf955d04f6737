package flow

import (
	"fmt"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// publish sends n publications to a room as a backend and returns the
// positions after each, from the beginning on.
func (r *rig) publish(room string, n int) []string {
	r.t.Helper()
	var all []string
	for range n {
		pos, err := r.router.SendRoom(r.t.Context(), room, router.Outgoing{Event: "n", Data: []byte(`{}`)})
		if err != nil {
			r.t.Fatal(err)
		}
		all = append(all, pos.String())
	}
	return all
}

// join joins on a new connection from a position and returns the reply.
func (r *rig) join(room, since string) (*client, event) {
	r.t.Helper()
	c := r.connect("ann")
	c.send(fmt.Sprintf(`{"event":"join_room","id":1,"data":{"room":%q,"since":%q}}`, room, since))
	return c, c.expect("room_joined")
}

func TestResumeFromAnEmptyRoom(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		ann := r.connect("ann")
		ann.send(`{"event":"join_room","id":1,"data":{"room":"lobby"}}`)
		pos := ann.expect("room_joined").Data["pos"].(string)
		_ = ann.ws.CloseNow()
		time.Sleep(time.Hour)
		r.publish("lobby", 2)
		c, e := r.join("lobby", pos)
		if e.Data["recovered"] != true || c.expect("n").Offset != 1 || c.expect("n").Offset != 2 {
			t.Errorf("%+v", e)
		}
	})
}

func TestResumeFromAnIdleRoomWhoseEntriesHaveExpired(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		seen := r.publish("lobby", 3)
		time.Sleep(time.Hour) // far beyond the five minutes that entries are kept
		if _, e := r.join("lobby", seen[2]); e.Data["recovered"] != true || e.Data["offset"] != 3.0 {
			t.Errorf("from the newest: %+v", e)
		}
		if _, e := r.join("lobby", seen[1]); e.Data["recovered"] != false || e.Data["reason"] != "expired" {
			t.Errorf("from one that has expired: %+v", e)
		}
	})
}

func TestResumeExactlyAtTheTrimEdge(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		seen := r.publish("lobby", 150) // 100 are kept
		c, e := r.join("lobby", seen[49])
		if e.Data["recovered"] != true || e.Data["offset"] != 50.0 {
			t.Fatalf("from the newest that is gone: %+v", e)
		}
		for want := uint64(51); want <= 150; want++ {
			if got := c.expect("n").Offset; got != want {
				t.Fatalf("offset %d, want %d", got, want)
			}
		}
		if _, e := r.join("lobby", seen[48]); e.Data["recovered"] != false || e.Data["reason"] != "trimmed" {
			t.Errorf("from one before: %+v", e)
		}
		forged, err := wire.ParsePosition(seen[49])
		if err != nil {
			t.Fatal(err)
		}
		forged.Nonce ^= 1
		if _, e := r.join("lobby", forged.String()); e.Data["recovered"] != false || e.Data["reason"] != "entry_changed" {
			t.Errorf("from an entry of another content: %+v", e)
		}
	})
}
