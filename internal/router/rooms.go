package router

import (
	"bytes"
	"context"

	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

var (
	errRoomName   = wire.NewError(wire.InvalidMessage, `"room" has 1 to 128 bytes of [A-Za-z0-9_.:@/-]`)
	errForbidden  = wire.NewError(wire.Forbidden, "the policy does not allow this in this room")
	errOwnRoom    = wire.NewError(wire.Forbidden, "a user's own room is joined for as long as the connection lives")
	errNotMember  = wire.NewError(wire.Forbidden, "join the room first")
	errNoHistory  = wire.NewError(wire.Forbidden, "the room keeps no history")
	errNoPresence = wire.NewError(wire.Forbidden, "the room has no presence")
	errLimit      = wire.NewError(wire.InvalidMessage, `"limit" is an integer from 0`)
)

// rule is the policy of a room; nil for an unknown one.
func (r *Router) rule(room string) *policy.Room { return r.rooms.Lookup(room) }

// keeps tells whether a room has history.
func (r *Router) keeps(room string) bool {
	rule := r.rule(room)
	return rule != nil && rule.Retention.Keeps()
}

// asks tells whether somebody must be asked who may join a room.
func (r *Router) asks(room string) bool {
	rule := r.rule(room)
	return rule != nil && rule.Join == policy.Ask
}

// mayJoin tells whether the policy lets a session join a room without asking
// anybody.
func (r *Router) mayJoin(s *session.Session, room string) bool {
	if wire.IsUserRoom(room) {
		return wire.OwnsRoom(s.OwnRoom(), room)
	}
	rule := r.rule(room)
	return rule != nil && r.among(s, room, rule.Join)
}

// mayPublish tells whether a room's rule, nil without one, lets a session
// publish to it.
func (r *Router) mayPublish(s *session.Session, room string, rule *policy.Room) bool {
	if rule == nil || wire.IsUserRoom(room) && !wire.OwnsRoom(s.OwnRoom(), room) {
		return false
	}
	return r.among(s, room, rule.Publish)
}

// among tells whether a session is one of those who may.
func (r *Router) among(s *session.Session, room string, who policy.Who) bool {
	switch who {
	case policy.Anyone:
		return true
	case policy.Authenticated:
		id := s.Identity()
		return id != nil && !id.Guest
	case policy.Member:
		return r.hub.Seated(s, room)
	}
	return false
}

// joinRoom handles "join_room {room, since?}".
func (r *Router) joinRoom(s *session.Session, req *wire.Request) bool {
	var room string
	var since wire.Position
	err := fields(req.Data, func(key string, value []byte) error {
		switch key {
		case "room":
			return roomName(value, &room)
		case "since":
			return position(value, &since)
		}
		return errUnknownField
	})
	id := bytes.Clone(req.ID)
	asks := r.asks(room)
	switch {
	case err != nil:
		return r.fail(s, id, err)
	case room == "":
		return r.fail(s, id, errRoomName)
	case !asks && !r.mayJoin(s, room):
		return r.fail(s, id, errForbidden)
	}
	join := func() error { return r.join(s, room, since, id) }
	if asks {
		return r.wait(s, id, func() { r.joinAsked(s, id, room, join) })
	}
	return r.soon(s, id, func() {
		if err := join(); err != nil {
			r.fail(s, id, err)
		}
	})
}

// join joins, waiting for the broker as long as the configuration allows.
func (r *Router) join(s *session.Session, room string, since wire.Position, id []byte) error {
	ctx, cancel := context.WithTimeout(r.ctx, r.cfg.PublishWait)
	defer cancel()
	return r.hub.Join(ctx, s, room, since, func(j hub.Joined) wire.Event { return joinedEvent(id, j, r.keeps(room)) })
}

// leaveRoom handles "leave_room {room}".
func (r *Router) leaveRoom(s *session.Session, req *wire.Request) bool {
	var room string
	err := fields(req.Data, func(key string, value []byte) error {
		if key == "room" {
			return roomName(value, &room)
		}
		return errUnknownField
	})
	id := bytes.Clone(req.ID)
	switch {
	case err != nil:
		return r.fail(s, id, err)
	case room == "":
		return r.fail(s, id, errRoomName)
	case room == s.OwnRoom():
		return r.fail(s, id, errOwnRoom)
	}
	return r.soon(s, id, func() {
		r.grants.forget(s, room)
		left := leftEvent(id, room, "")
		// Leaving a room one is not in changes nothing. A backend may put the
		// client into it at any time: what is said stays in order with that.
		for !r.hub.Expel(s, room, left) && !s.Outside(room, func() { s.Send(left) }) {
		}
	})
}

// history handles "history {room, since?, limit?}".
func (r *Router) history(s *session.Session, req *wire.Request) bool {
	var room string
	var since wire.Position
	limit := 100
	err := fields(req.Data, func(key string, value []byte) error {
		switch key {
		case "room":
			return roomName(value, &room)
		case "since":
			return position(value, &since)
		case "limit":
			return count(value, &limit)
		}
		return errUnknownField
	})
	id := bytes.Clone(req.ID)
	switch {
	case err != nil:
		return r.fail(s, id, err)
	case room == "":
		return r.fail(s, id, errRoomName)
	case !r.hub.Seated(s, room):
		return r.fail(s, id, errNotMember)
	case !r.keeps(room):
		return r.fail(s, id, errNoHistory)
	}
	return r.soon(s, id, func() {
		ctx, cancel := context.WithTimeout(r.ctx, r.cfg.PublishWait)
		defer cancel()
		page, err := r.broker.History(ctx, room, since, min(limit, r.cfg.HistoryLimit))
		if err != nil {
			r.fail(s, id, err)
			return
		}
		s.Send(historyEvent(id, room, page, r.cfg.HistoryBytes))
	})
}

// presence handles "presence {room, page?}".
func (r *Router) presence(s *session.Session, req *wire.Request) bool {
	var room, after string
	err := fields(req.Data, func(key string, value []byte) error {
		switch key {
		case "room":
			return roomName(value, &room)
		case "page":
			return text(value, &after)
		}
		return errUnknownField
	})
	rule := r.rule(room)
	switch {
	case err != nil:
		return r.fail(s, req.ID, err)
	case room == "":
		return r.fail(s, req.ID, errRoomName)
	case !r.hub.Seated(s, room):
		return r.fail(s, req.ID, errNotMember)
	case rule == nil || !rule.Presence:
		return r.fail(s, req.ID, errNoPresence)
	}
	id := bytes.Clone(req.ID)
	return r.soon(s, id, func() {
		// An error means fewer users, of other instances; the rest is true.
		page, _ := r.hub.PresenceEverywhere(r.ctx, room, after, hub.PresencePage)
		s.Send(presenceEvent(id, room, page))
	})
}

// ping handles "ping {}".
func (r *Router) ping(s *session.Session, req *wire.Request) bool {
	s.Send(pongEvent(req.ID))
	return true
}
