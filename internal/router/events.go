package router

import (
	"encoding/json"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// event makes an event of plain data, which always encodes.
func event(name string, id []byte, data any) wire.Event {
	raw, err := json.Marshal(data)
	if err != nil {
		raw = []byte("null") // not reached: data is strings and numbers
	}
	return wire.Event{Name: name, ID: id, Data: raw}
}

func now() int64 { return time.Now().UnixMilli() }

func errorEvent(id []byte, e *wire.Error) wire.Event {
	return event(wire.EventError, id, struct {
		Code      wire.Code `json:"code"`
		Message   string    `json:"message"`
		Timestamp int64     `json:"timestamp"`
		Retryable bool      `json:"retryable"`
		Reason    string    `json:"reason,omitempty"`
	}{e.Code, e.Message, now(), e.Code.Retryable(), e.Reason})
}

func (r *Router) connectedEvent(s *session.Session, id *auth.Identity) wire.Event {
	return event(wire.EventConnected, nil, struct {
		ConnectionID  string `json:"connectionId"`
		UserID        string `json:"userId"`
		Instance      string `json:"instance"`
		ServerVersion string `json:"serverVersion"`
		HeartbeatMS   int64  `json:"heartbeatMs"`
		Timestamp     int64  `json:"timestamp"`
	}{s.ID(), id.UserID, r.cfg.Instance, r.cfg.Version, r.cfg.Heartbeat.Milliseconds(), now()})
}

func authenticatedEvent(reqID []byte, id *auth.Identity) wire.Event {
	var expires *int64
	if !id.ExpiresAt.IsZero() {
		ms := id.ExpiresAt.UnixMilli()
		expires = &ms
	}
	return event(wire.EventAuthenticated, reqID, struct {
		UserID    string `json:"userId"`
		ExpiresAt *int64 `json:"expiresAt"`
	}{id.UserID, expires})
}

// place is a position in an event.
type place struct {
	Offset *uint64 `json:"offset,omitempty"`
	Pos    string  `json:"pos,omitempty"`
}

func placeOf(p wire.Position, keeps bool) place {
	if !keeps || p.IsZero() {
		return place{}
	}
	b, _ := p.AppendText(nil)
	return place{&p.Offset, string(b)}
}

func joinedEvent(id []byte, j hub.Joined, keeps bool) wire.Event {
	var members any
	if m := j.Members; m != nil && m.Users != nil {
		members = m.Users
	} else if m != nil {
		members = m.Count
	}
	return event(wire.EventRoomJoined, id, struct {
		Room string `json:"room"`
		place
		Recovered bool   `json:"recovered"`
		Reason    string `json:"reason,omitempty"`
		Members   any    `json:"members,omitempty"`
	}{j.Room, placeOf(j.Position, keeps), j.Recovered, j.Reason, members})
}

// leftEvent says that a membership ended; reason is empty when the client
// wanted it so.
func leftEvent(id []byte, room, reason string) wire.Event {
	return event(wire.EventRoomLeft, id, struct {
		Room   string `json:"room"`
		Reason string `json:"reason,omitempty"`
	}{room, reason})
}

func pongEvent(id []byte) wire.Event {
	return event(wire.EventPong, id, struct {
		Timestamp int64 `json:"timestamp"`
	}{now()})
}

func presenceEvent(id []byte, room string, p hub.Page) wire.Event {
	return event(wire.EventPresence, id, struct {
		Room    string   `json:"room"`
		Members []string `json:"members"`
		Count   int      `json:"count"`
		Next    string   `json:"next,omitempty"`
	}{room, p.Users, p.Count, p.Next})
}

// entry is a publication in a history reply.
type entry struct {
	Event string `json:"event"`
	place
	Timestamp int64           `json:"timestamp"`
	Data      json.RawMessage `json:"data"`
}

// historyEvent has as many publications as fit the limit; the reply's position
// is that of the last one, so that asking again from it goes on.
func historyEvent(id []byte, room string, page broker.Page, limit int) wire.Event {
	entries := make([]entry, 0, len(page.Publications))
	at, bytes := page.Top, 0
	for _, p := range page.Publications {
		if bytes += len(p.Data) + len(p.Event) + 128; bytes > limit && len(entries) > 0 {
			break
		}
		data := json.RawMessage(p.Data)
		if len(data) == 0 {
			data = json.RawMessage("null")
		}
		entries = append(entries, entry{p.Event, placeOf(p.Position, true), p.Time, data})
		at = p.Position
	}
	return event(wire.EventHistory, id, struct {
		Room string `json:"room"`
		place
		More         bool    `json:"more"`
		Publications []entry `json:"publications"`
	}{room, placeOf(at, true), at.Offset < page.Top.Offset, entries})
}
