package httpapi

import (
	"context"

	"github.com/moonx-farm/ws-gateway/internal/fleet"
	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Lookup tells more of one room or connection.
type Lookup interface {
	Room(ctx context.Context, room string) (fleet.Room, error)
	Seats(ctx context.Context, connection string, p fleet.Page) (fleet.Seats, error)
}

// roomRule is what the policy says of a room, in the policy's words.
type roomRule struct {
	Match      string    `json:"match"`
	Join       string    `json:"join"`
	Publish    string    `json:"publish"`
	History    *roomLife `json:"history,omitempty"`
	Presence   bool      `json:"presence"`
	Slow       string    `json:"slow"`
	Durability string    `json:"durability"`
}

// roomLife is how much of a room is kept.
type roomLife struct {
	Size  int   `json:"size"`
	AgeMS int64 `json:"ageMs,omitempty"`
}

// owner is who joins the rooms of users, and may publish there.
const owner = "owner"

func ruleOf(room string, r *policy.Room) *roomRule {
	if r == nil {
		return nil
	}
	out := &roomRule{
		Match: r.Match, Join: r.Join.String(), Publish: r.Publish.String(), Presence: r.Presence,
		Slow: slowWord(r.Slow), Durability: "async",
	}
	if r.Replicated {
		out.Durability = "replicated"
	}
	if r.Retention.Keeps() {
		out.History = &roomLife{r.Retention.Size, r.Retention.Age.Milliseconds()}
	}
	if wire.IsUserRoom(room) {
		out.Join = owner
		if r.Publish == policy.Member {
			out.Publish = owner
		}
	}
	return out
}

// slowWord is the policy's word for what happens to slow members.
func slowWord(p wire.SlowPolicy) string {
	switch p {
	case wire.SlowDropOldest:
		return "drop_oldest"
	case wire.SlowConflate:
		return "conflate"
	case wire.SlowDisconnect:
	}
	return "disconnect"
}

// room handles GET /rooms/{room}.
func (a *API) room(r *request) (any, error) {
	name, err := r.room()
	if err == nil {
		err = r.query(nil)
	}
	if err != nil {
		return nil, err
	}
	room, err := a.parts.Lookup.Room(r.Context(), name)
	if err != nil {
		return nil, err
	}
	return struct {
		Room        string    `json:"room"`
		Connections int       `json:"connections"`
		Rule        *roomRule `json:"rule,omitempty"`
		place
		Missing []string `json:"missing,omitempty"`
	}{name, room.Connections, ruleOf(name, room.Rule), placeOf(room.Top), room.Missing}, nil
}

// connectionRooms handles GET /connections/{connection}/rooms.
func (a *API) connectionRooms(r *request) (any, error) {
	var p page
	if err := r.query(p.parameters()); err != nil {
		return nil, err
	}
	id := r.PathValue("connection")
	list, err := a.parts.Lookup.Seats(r.Context(), id, p.Page)
	if err != nil {
		return nil, err
	}
	out := struct {
		Connection string       `json:"connection"`
		Count      int          `json:"count"`
		Rooms      []fleet.Seat `json:"rooms"`
		Next       string       `json:"next,omitempty"`
	}{Connection: id, Count: list.Count, Rooms: list.Rooms}
	if n := len(list.Rooms); list.More && n > 0 {
		out.Next = list.Rooms[n-1].Room
	}
	return out, nil
}
