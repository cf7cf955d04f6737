package router

import (
	"context"
	"errors"

	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// ErrNoConnection is returned for a connection id that nobody has.
var ErrNoConnection = errors.New("router: no such connection")

var (
	errExcept  = wire.NewError(wire.InvalidMessage, "except is a list of at most 100 connection ids")
	errForeign = wire.NewError(wire.Forbidden, "the room belongs to another user")
	errTarget  = wire.NewError(wire.InvalidMessage, "name a user or a connection, and not both")
)

// maxConnectionID bounds what can be meant as a connection's id.
const maxConnectionID = 64

func checkExcept(ids []string) error {
	if len(ids) > wire.MaxExcept {
		return errExcept
	}
	for _, id := range ids {
		if id == "" || len(id) > maxConnectionID {
			return errExcept
		}
	}
	return nil
}

// SendConnection publishes to one connection. Nothing is kept, but for the
// idempotency key. Errors are wire.Errors, or ErrNoConnection.
func (r *Router) SendConnection(ctx context.Context, id string, o Outgoing) error {
	if r.hub.Session(id) == nil {
		return ErrNoConnection
	}
	_, err := r.send(ctx, wire.ConnectionRoom(id), &policy.Room{}, o)
	return err
}

// Target names whom a backend means: one connection, or all connections that a
// user has at this moment. Exactly one is set.
type Target struct{ User, Connection string }

// sessions returns the sessions that are meant.
func (r *Router) sessions(t Target) ([]*session.Session, error) {
	switch {
	case (t.User == "") == (t.Connection == ""):
		return nil, errTarget
	case t.User != "":
		return r.hub.Connections(t.User), nil
	}
	s := r.hub.Session(t.Connection)
	if s == nil {
		return nil, ErrNoConnection
	}
	return []*session.Session{s}, nil
}

// Subscribe makes connections members of a room, as if they had joined it from
// now on: they get room_joined without an id. The policy must know the room
// and let anybody join it; who may is the backend's business, except that a
// user's room stays its user's. It returns how many of the connections are
// members now, and why the others are not. Errors are wire.Errors, or
// ErrNoConnection.
func (r *Router) Subscribe(ctx context.Context, to Target, room string) (int, error) {
	all, err := r.sessions(to)
	switch rule := r.rule(room); {
	case err != nil:
		return 0, err
	case !wire.ValidRoom(room):
		return 0, errRoomName
	case rule == nil, rule.Join == policy.Nobody && !wire.IsUserRoom(room):
		return 0, errForbidden
	}
	members := 0
	var fault error
	for _, s := range all {
		if ok, err := r.admitTo(ctx, s, room); err != nil {
			fault = err
		} else if ok {
			members++
		}
	}
	return members, fault
}

// admitTo seats one session.
func (r *Router) admitTo(ctx context.Context, s *session.Session, room string) (bool, error) {
	switch own := s.OwnRoom(); {
	case own == "":
		return false, wire.NewError(wire.Forbidden, "the connection has not said yet whose it is")
	case wire.IsUserRoom(room) && !wire.OwnsRoom(own, room):
		return false, errForeign
	}
	return r.hub.Admit(ctx, s, room, func(j hub.Joined) wire.Event { return joinedEvent(nil, j, r.keeps(room)) })
}

// Unsubscribe takes connections out of a room and tells them: room_left with
// the reason "removed". It returns how many were in it. Errors are wire.Errors,
// or ErrNoConnection.
func (r *Router) Unsubscribe(from Target, room string) (int, error) {
	all, err := r.sessions(from)
	switch {
	case err != nil:
		return 0, err
	case !wire.ValidRoom(room):
		return 0, errRoomName
	}
	left := 0
	for _, s := range all {
		if s.OwnRoom() == room {
			return left, errOwnRoom
		}
		if r.expel(s, room, leftRemoved) {
			left++
		}
	}
	return left, nil
}

// History is a part of a room's log.
type History struct {
	Publications []*wire.Publication // oldest first
	At           wire.Position       // where to go on from
	More         bool
}

// ReadHistory reads at most limit publications of a room after since, and as
// many as the configuration allows at once. Errors are wire.Errors or a
// *broker.InsufficientStateError.
func (r *Router) ReadHistory(ctx context.Context, room string, since wire.Position, limit int) (History, error) {
	switch {
	case !wire.ValidRoom(room):
		return History{}, errRoomName
	case r.rule(room) == nil:
		return History{}, errForbidden
	case !r.keeps(room):
		return History{}, errNoHistory
	}
	page, err := r.broker.History(ctx, room, since, min(limit, r.cfg.HistoryLimit))
	if err != nil {
		return History{}, err
	}
	out, bytes := History{At: page.Top}, 0
	for _, p := range page.Publications {
		if bytes += len(p.Data) + len(p.Event) + 128; bytes > r.cfg.HistoryBytes && len(out.Publications) > 0 {
			break
		}
		out.Publications, out.At = append(out.Publications, p), p.Position
	}
	out.More = out.At.Offset < page.Top.Offset
	return out, nil
}
