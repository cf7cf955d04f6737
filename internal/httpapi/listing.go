package httpapi

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// connection is what is told of a connection. Nothing of its credential is.
type connection struct {
	Connection string `json:"connection"`
	User       string `json:"user,omitempty"` // absent until it has authenticated
	Guest      bool   `json:"guest"`
	Address    string `json:"address"`
	ExpiresAt  *int64 `json:"expiresAt,omitempty"` // Unix milliseconds
	Rooms      int    `json:"rooms"`
}

func connectionOf(s *session.Session) connection {
	c := connection{Connection: s.ID(), Address: s.Peer().String(), Rooms: s.Seats()}
	if id := s.Identity(); id != nil {
		c.User, c.Guest = id.UserID, id.Guest
		if !id.ExpiresAt.IsZero() {
			ms := id.ExpiresAt.UnixMilli()
			c.ExpiresAt = &ms
		}
	}
	return c
}

// connection handles GET /connections/{connection}.
func (a *API) connection(r *request) (any, error) {
	if err := r.query(nil); err != nil {
		return nil, err
	}
	s := a.parts.Directory.Session(r.PathValue("connection"))
	if s == nil {
		return nil, errNoConnection
	}
	return connectionOf(s), nil
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
	all := a.parts.Directory.Connections(user)
	slices.SortFunc(all, func(x, y *session.Session) int { return cmp.Compare(x.ID(), y.ID()) })
	out := struct {
		User        string       `json:"user"`
		Count       int          `json:"count"`
		Connections []connection `json:"connections"`
		Next        string       `json:"next,omitempty"`
	}{User: user, Count: len(all), Connections: []connection{}}
	from, found := slices.BinarySearchFunc(all, p.after, func(s *session.Session, id string) int { return cmp.Compare(s.ID(), id) })
	if found {
		from++
	}
	shown := all[from:min(len(all), from+p.limit)]
	for _, s := range shown {
		out.Connections = append(out.Connections, connectionOf(s))
	}
	if from+len(shown) < len(all) {
		out.Next = shown[len(shown)-1].ID()
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
	list, more := a.parts.Directory.Rooms(prefix, p.after, p.limit)
	out := struct {
		Rooms []roomCount `json:"rooms"`
		Next  string      `json:"next,omitempty"`
	}{Rooms: make([]roomCount, 0, len(list))}
	for _, room := range list {
		out.Rooms = append(out.Rooms, roomCount{room.Room, room.Connections})
	}
	if more && len(list) > 0 {
		out.Next = list[len(list)-1].Room
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
	list := a.parts.Directory.Presence(room, p.after)
	if len(list.Users) > p.limit {
		list.Users = list.Users[:p.limit]
		list.Next = list.Users[p.limit-1]
	}
	return struct {
		Room        string   `json:"room"`
		Connections int      `json:"connections"`
		Members     []string `json:"members"`
		Next        string   `json:"next,omitempty"`
	}{room, list.Count, list.Users, list.Next}, nil
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
	p := page{limit: defaultPage}
	room, err := r.room()
	if err == nil {
		err = r.query(map[string]func(string) error{"limit": p.size, "since": position(&since)})
	}
	if err != nil {
		return nil, err
	}
	h, err := a.parts.Publisher.ReadHistory(r.Context(), room, since, p.limit)
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
