package fleet

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Directory knows what is on the other instances, as they have written it down.
// It waits for none of them.
type Directory interface {
	// Rooms lists at most limit rooms with members whose names begin with
	// prefix and stand after the given one, in the order of names. more tells
	// whether there are others behind them.
	Rooms(ctx context.Context, prefix, after string, limit int) (page []hub.RoomCount, more bool, err error)
	// Census counts, instance by instance: a user or room that is on several
	// counts for each.
	Census(ctx context.Context) (hub.Census, error)
}

// Members are some of the users in a room.
type Members struct {
	Users       []string // sorted
	Next        string   // "after" of the next page; "" on the last
	Connections int      // of all users
	Missing     []string // instances whose users may not be among them, by name
}

// Members lists the users in a room on all instances.
func (f *Fleet) Members(ctx context.Context, room string, p Page) Members {
	if ofUser(room) {
		return f.owner(ctx, room, p)
	}
	page, err := f.parts.Hub.PresenceEverywhere(ctx, room, p.After, p.Limit)
	return Members{Users: page.Users, Next: page.Next, Connections: page.Count, Missing: f.unless(err)}
}

// ofUser tells whether a room is the whole room of one user, of which the
// directory keeps no list.
func ofUser(room string) bool {
	id, ok := strings.CutPrefix(room, wire.UserRoomPrefix)
	return ok && !strings.Contains(id, ":")
}

// present is who is in a room on one instance.
type present struct {
	Users       []string `json:"users,omitempty"`
	Connections int      `json:"connections"`
}

// owner asks all instances for the one user who can be in a room.
func (f *Fleet) owner(ctx context.Context, room string, p Page) Members {
	q := listing{Page: p, Room: room}
	h := askOthers[present](ctx, f, kindMembers, q)
	out := Members{Users: []string{}, Missing: h.missing}
	for _, one := range append(h.answers, f.members(ctx, q)) {
		out.Connections += one.Connections
		out.Users = append(out.Users, one.Users...)
	}
	slices.Sort(out.Users)
	out.Users = slices.Compact(out.Users)
	return out
}

func (f *Fleet) members(_ context.Context, q listing) present {
	page := f.parts.Hub.Presence(q.Room, q.After)
	return present{page.Users, page.Count}
}

// Rooms are some of the rooms with members.
type Rooms struct {
	Rooms   []hub.RoomCount // by name
	More    bool            // there are others behind them
	Missing []string        // instances whose members are not counted, by name
}

// Rooms lists rooms with members on any instance whose names begin with prefix.
func (f *Fleet) Rooms(ctx context.Context, prefix string, p Page) Rooms {
	own, more := f.parts.Hub.Rooms(prefix, p.After, p.Limit)
	if f.parts.Directory == nil {
		return Rooms{Rooms: own, More: more}
	}
	others, beyond, err := f.parts.Directory.Rooms(ctx, prefix, p.After, p.Limit)
	out := Rooms{Rooms: mergeRooms(own, others), More: more || beyond, Missing: f.unless(err)}
	// Either list is whole up to its end, and has the page's length if there
	// is more: the first of both are the page.
	if len(out.Rooms) > p.Limit {
		out.Rooms, out.More = out.Rooms[:p.Limit], true
	}
	return out
}

// mergeRooms makes one list of two, adding up the connections of rooms that are
// in both.
func mergeRooms(a, b []hub.RoomCount) []hub.RoomCount {
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(x, y hub.RoomCount) int { return cmp.Compare(x.Room, y.Room) })
	out := all[:0]
	for _, r := range all {
		if n := len(out); n > 0 && out[n-1].Room == r.Room {
			out[n-1].Connections += r.Connections
			continue
		}
		out = append(out, r)
	}
	return out
}

// Census is what there is on all instances.
type Census struct {
	hub.Census
	Missing []string // instances that are not counted, by name
}

// Census counts what there is on all instances. A user or room that is on
// several counts for each.
func (f *Fleet) Census(ctx context.Context) Census {
	sum := Census{Census: f.parts.Hub.Census()}
	if f.parts.Directory == nil {
		return sum
	}
	others, err := f.parts.Directory.Census(ctx)
	sum.Connections += others.Connections
	sum.Users += others.Users
	sum.Rooms += others.Rooms
	sum.Memberships += others.Memberships
	sum.Missing = f.unless(err)
	return sum
}

// unless names the other instances when they could not be read of, and those of
// which nothing is read as it is not known whether they live.
func (f *Fleet) unless(err error) []string {
	missing := f.parts.View.Unheard()
	if err != nil {
		missing = append(missing, f.parts.View.Others()...)
	}
	var names []string
	for _, i := range missing {
		names = append(names, i.ID)
	}
	slices.Sort(names)
	return names
}
