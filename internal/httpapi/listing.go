package httpapi

import (
	"encoding/json"

	"github.com/moonx-farm/ws-gateway/internal/fleet"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// connection handles GET /connections/{connection}.
func (a *API) connection(r *request) (any, error) {
	if err := r.query(nil); err != nil {
		return nil, err
	}
	return a.parts.Directory.Connection(r.Context(), r.PathValue("connection"))
}

// userConnections handles GET /users/{user}/connections.
func (a *API) userConnections(r *request) (any, error) {
	var p page
	user, err := r.user()
	if err == nil {
		err = r.query(p.parameters())
	}
	if err != nil {
		return nil, err
	}
	list := a.parts.Directory.Connections(r.Context(), user, p.Page)
	out := struct {
		User        string             `json:"user"`
		Count       int                `json:"count"`
		Connections []fleet.Connection `json:"connections"`
		Next        string             `json:"next,omitempty"`
		Missing     []string           `json:"missing,omitempty"`
	}{User: user, Count: list.Count, Connections: list.Connections, Missing: list.Missing}
	if n := len(list.Connections); list.More && n > 0 {
		out.Next = list.Connections[n-1].Connection
	}
	return out, nil
}

// roomCount is a room in a listing.
type roomCount struct {
	Room        string `json:"room"`
	Connections int    `json:"connections"`
}

// rooms handles GET /rooms.
func (a *API) rooms(r *request) (any, error) {
	var p page
	var prefix string
	known := p.parameters()
	known["prefix"] = word(&prefix)
	if err := r.query(known); err != nil {
		return nil, err
	}
	list := a.parts.Directory.Rooms(r.Context(), prefix, p.Page)
	out := struct {
		Rooms   []roomCount `json:"rooms"`
		Next    string      `json:"next,omitempty"`
		Missing []string    `json:"missing,omitempty"`
	}{Rooms: make([]roomCount, 0, len(list.Rooms)), Missing: list.Missing}
	for _, room := range list.Rooms {
		out.Rooms = append(out.Rooms, roomCount{room.Room, room.Connections})
	}
	if n := len(list.Rooms); list.More && n > 0 {
		out.Next = list.Rooms[n-1].Room
	}
	return out, nil
}

// members handles GET /rooms/{room}/members.
func (a *API) members(r *request) (any, error) {
	var p page
	room, err := r.room()
	if err == nil {
		err = r.query(p.parameters())
	}
	if err != nil {
		return nil, err
	}
	list := a.parts.Directory.Members(r.Context(), room, p.Page)
	return struct {
		Room        string   `json:"room"`
		Connections int      `json:"connections"`
		Members     []string `json:"members"`
		Next        string   `json:"next,omitempty"`
		Missing     []string `json:"missing,omitempty"`
	}{room, list.Connections, list.Users, list.Next, list.Missing}, nil
}

// entry is a publication in a history.
type entry struct {
	Event string `json:"event"`
	place
	Timestamp int64           `json:"timestamp"`
	Data      json.RawMessage `json:"data"`
}

// history handles GET /rooms/{room}/history.
func (a *API) history(r *request) (any, error) {
	var since wire.Position
	p := page{fleet.Page{Limit: defaultPage}}
	room, err := r.room()
	if err == nil {
		err = r.query(map[string]func(string) error{"limit": p.size, "since": position(&since)})
	}
	if err != nil {
		return nil, err
	}
	h, err := a.parts.Publisher.ReadHistory(r.Context(), room, since, p.Limit)
	if err != nil {
		return nil, err
	}
	entries := make([]entry, 0, len(h.Publications))
	for _, pub := range h.Publications {
		data := json.RawMessage(pub.Data)
		if data == nil {
			data = json.RawMessage("null")
		}
		entries = append(entries, entry{pub.Event, placeOf(pub.Position), pub.Time, data})
	}
	return struct {
		Room string `json:"room"`
		place
		More         bool    `json:"more"`
		Publications []entry `json:"publications"`
	}{room, placeOf(h.At), h.More, entries}, nil
}

// position takes a position from the query.
func position(to *wire.Position) func(string) error {
	return func(s string) error {
		p, err := wire.ParsePosition(s)
		if err != nil {
			return errSince
		}
		*to = p
		return nil
	}
}
