package fleet

import (
	"cmp"
	"context"
	"slices"

	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Room is a room and who is in it.
type Room struct {
	router.RoomState

	Connections int      // on all instances
	Missing     []string // instances whose connections are not counted, by name
}

// Room looks at a room. Errors are wire.Errors.
func (f *Fleet) Room(ctx context.Context, room string) (Room, error) {
	state, err := f.parts.Router.Room(ctx, room)
	if err != nil {
		return Room{}, err
	}
	if ofUser(room) {
		own := f.owner(ctx, room, Page{Limit: 1})
		return Room{state, own.Connections, own.Missing}, nil
	}
	n, err := f.parts.Hub.OccupantsEverywhere(ctx, room)
	return Room{state, n, f.unless(err)}, nil
}

// Seat is a connection's place in a room.
type Seat struct {
	Room string `json:"room"`
	// Offset and Pos say how far the room has been queued for the connection;
	// zero when that is not known.
	Offset uint64 `json:"offset,omitempty"`
	Pos    string `json:"pos,omitempty"`
}

// Seats are some of the rooms that a connection is in.
type Seats struct {
	Count int    `json:"count"` // of all there are
	Rooms []Seat `json:"rooms"` // by name
	More  bool   `json:"more,omitempty"`
}

// seated is the answer for a connection: nil when the instance does not have it.
type seated struct {
	Seats *Seats `json:"seats,omitempty"`
}

// seating is a question for the rooms of one connection.
type seating struct {
	Page

	Connection string `json:"connection"`
}

// Seats lists the rooms that a connection of any instance is in, the user's own
// included. Errors are as with Connection.
func (f *Fleet) Seats(ctx context.Context, connection string, p Page) (Seats, error) {
	q := seating{p, connection}
	if own := f.seats(ctx, q); own.Seats != nil {
		return *own.Seats, nil
	}
	h := askOthers[seated](ctx, f, kindSeats, q)
	for _, other := range h.answers {
		if other.Seats != nil {
			return *other.Seats, nil
		}
	}
	return Seats{}, errAbsent(h.missing, h.err)
}

// seats lists them for a connection of this instance.
func (f *Fleet) seats(_ context.Context, q seating) seated {
	s := f.parts.Hub.Session(q.Connection)
	if s == nil {
		return seated{}
	}
	at := map[string]wire.Position{}
	f.parts.Hub.Places(q.Connection, func(p wire.Place) { at[p.Room] = p.Position })
	out := Seats{Rooms: []Seat{}}
	for _, seat := range s.Rooms() {
		out.Count++
		if name := seat.Room(); name > q.After {
			out.Rooms = append(out.Rooms, seatOf(name, at[name]))
		}
	}
	slices.SortFunc(out.Rooms, func(a, b Seat) int { return cmp.Compare(a.Room, b.Room) })
	if len(out.Rooms) > q.Limit {
		out.Rooms, out.More = out.Rooms[:max(q.Limit, 0)], true
	}
	return seated{&out}
}

func seatOf(room string, at wire.Position) Seat {
	if at.IsZero() {
		return Seat{Room: room}
	}
	return Seat{room, at.Offset, at.String()}
}
