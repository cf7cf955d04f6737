package presence

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/moonx-farm/ws-gateway/internal/hub"

	"github.com/moonx-farm/ws-gateway/internal/redisconn"
)

// mostRooms bounds a page of rooms, as the script that reads it does.
const mostRooms = 1000

// Rooms lists at most limit, and at most 1000, rooms with members on other
// instances whose names begin with prefix and stand after the given one, in the
// order of names. more tells whether there are others behind them. With an
// error those of some instances are missing.
func (d *Directory) Rooms(ctx context.Context, prefix, after string, limit int) (page []hub.RoomCount, more bool, err error) {
	limit = min(limit, mostRooms)
	from, to := "["+prefix, "+"
	switch {
	case after >= prefix && after != "":
		from = "(" + after
	case prefix == "":
		from = "-"
	}
	if prefix != "" {
		to = "(" + prefix + "\xff" // no room's name holds that byte
	}
	all, err := d.askAll(ctx, func(ctx context.Context, pipe redis.Pipeliner, inc string) redis.Cmder {
		return pipe.Eval(ctx, roomsScript, []string{d.keys.rooms(inc), d.keys.counts(inc)}, from, to, limit+1)
	})
	lists := make([][]hub.RoomCount, 0, len(all))
	for _, cmd := range all {
		lists = append(lists, roomsOf(cmd))
	}
	page, more = mergeRooms(lists, limit)
	return page, more, err
}

// roomsOf reads the script's answer.
func roomsOf(cmd redis.Cmder) []hub.RoomCount {
	c, ok := cmd.(*redis.Cmd)
	if !ok {
		return nil
	}
	texts, err := c.StringSlice()
	if err != nil {
		return nil
	}
	list := make([]hub.RoomCount, 0, len(texts)/2)
	for i := 0; i+1 < len(texts); i += 2 {
		n, err := strconv.Atoi(texts[i+1])
		if err == nil && n > 0 {
			list = append(list, hub.RoomCount{Room: texts[i], Connections: n})
		}
	}
	return list
}

// mergeRooms makes a page of lists, each whole up to its end, adding up the
// connections.
func mergeRooms(lists [][]hub.RoomCount, limit int) (page []hub.RoomCount, more bool) {
	all := slices.Concat(lists...)
	slices.SortFunc(all, func(a, b hub.RoomCount) int { return cmp.Compare(a.Room, b.Room) })
	for _, room := range all {
		n := len(page)
		switch {
		case n > 0 && page[n-1].Room == room.Room:
			page[n-1].Connections += room.Connections
		case n == limit:
			return page, true
		default:
			page = append(page, room)
		}
	}
	return page, false
}

// The fields of a summary.
const (
	fieldConnections = "connections"
	fieldUsers       = "users"
	fieldRooms       = "rooms"
	fieldMemberships = "memberships"
)

// Census counts what is on other instances, as of their last heartbeat. A user
// or room on several counts for each. With an error some are missing.
func (d *Directory) Census(ctx context.Context) (hub.Census, error) {
	all, err := d.askAll(ctx, func(ctx context.Context, pipe redis.Pipeliner, inc string) redis.Cmder {
		return pipe.HMGet(ctx, d.keys.summary(inc), fieldConnections, fieldUsers, fieldRooms, fieldMemberships)
	})
	var sum hub.Census
	for _, cmd := range all {
		if c, ok := cmd.(*redis.SliceCmd); ok {
			sum.Connections += numberAt(c, 0)
			sum.Users += numberAt(c, 1)
			sum.Rooms += numberAt(c, 2)
			sum.Memberships += numberAt(c, 3)
		}
	}
	return sum, err
}

// summaryNow are the fields and values of this instance's summary.
func (d *Directory) summaryNow() []any {
	c := d.hub.Census()
	return []any{
		fieldConnections, c.Connections, fieldUsers, c.Users, fieldRooms, c.Rooms, fieldMemberships, c.Memberships,
	}
}

// askAll sends one command for each other instance, in one go, and returns those
// that were answered. The error says that some were not.
func (d *Directory) askAll(
	ctx context.Context, command func(context.Context, redis.Pipeliner, string) redis.Cmder,
) ([]redis.Cmder, error) {
	others := d.view.Others()
	if len(others) == 0 {
		return nil, nil
	}
	if d.away.Load() {
		return nil, redisconn.ErrAway
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	pipe := d.redis.Client().Pipeline()
	all := make([]redis.Cmder, len(others))
	for i, inc := range others {
		all[i] = command(ctx, pipe, inc)
	}
	_, err := pipe.Exec(ctx)
	if err == nil {
		return all, nil
	}
	all = slices.DeleteFunc(all, func(cmd redis.Cmder) bool { return cmd.Err() != nil && !errors.Is(cmd.Err(), redis.Nil) })
	return all, fmt.Errorf("read the others' directories: %w", err)
}
