package fleet

import (
	"cmp"
	"context"
	"slices"

	"github.com/moonx-farm/ws-gateway/internal/codec"
	"github.com/moonx-farm/ws-gateway/internal/session"
)

// Connection is what is told of a connection. Nothing of its credential is.
type Connection struct {
	Connection string `json:"connection"`
	User       string `json:"user,omitempty"` // "" until it has authenticated
	Guest      bool   `json:"guest"`
	Address    string `json:"address"`
	ExpiresAt  int64  `json:"expiresAt,omitempty"` // of its credential, in Unix milliseconds; 0: never
	Rooms      int    `json:"rooms"`
	Instance   string `json:"instance"`           // where it is
	Protocol   string `json:"protocol,omitempty"` // gateway.v1 or socket.io
	Transport  string `json:"transport,omitempty"`
	// ConnectedAt and LastSeenAt, when the client sent anything last, are in
	// Unix milliseconds; 0: not known, as with instances of older versions.
	ConnectedAt int64 `json:"connectedAt,omitempty"`
	LastSeenAt  int64 `json:"lastSeenAt,omitempty"`
	QueueBytes  int   `json:"queueBytes"` // that wait for the client to take them
}

// Page is the part of a listing that is asked for.
type Page struct {
	After string `json:"after,omitempty"` // the last entry of the page before
	Limit int    `json:"limit"`
}

// Connections are some of a user's connections.
type Connections struct {
	Count       int          `json:"count"`       // of all there are
	Connections []Connection `json:"connections"` // by id
	More        bool         `json:"more,omitempty"`
	Missing     []string     `json:"-"` // instances that did not answer, by name
}

// lookup is a question for one connection.
type lookup struct {
	Connection string `json:"connection"`
}

// found is the answer: nil for a connection that the instance does not have.
type found struct {
	Connection *Connection `json:"connection,omitempty"`
}

// Connection returns a connection of any instance. Errors are
// router.ErrNoConnection, and Unavailable when it may be on an instance that
// did not answer.
func (f *Fleet) Connection(ctx context.Context, id string) (Connection, error) {
	q := lookup{id}
	if own := f.connection(ctx, q); own.Connection != nil {
		return *own.Connection, nil
	}
	h := askOthers[found](ctx, f, kindConnection, q)
	for _, other := range h.answers {
		if other.Connection != nil {
			return *other.Connection, nil
		}
	}
	return Connection{}, errAbsent(h.missing, h.err)
}

func (f *Fleet) connection(_ context.Context, q lookup) found {
	s := f.parts.Hub.Session(q.Connection)
	if s == nil {
		return found{}
	}
	c := f.describe(s)
	return found{&c}
}

// describe is what is told of a session of this instance.
func (f *Fleet) describe(s *session.Session) Connection {
	state := s.State()
	c := Connection{
		Connection: s.ID(), Address: s.Peer().String(), Rooms: s.Seats(), Instance: f.parts.Instance,
		Protocol: codec.NameOf(s.Codec()), Transport: state.Name, QueueBytes: state.QueueBytes, ConnectedAt: s.Opened().UnixMilli(),
	}
	if !state.Heard.IsZero() {
		c.LastSeenAt = state.Heard.UnixMilli()
	}
	if id := s.Identity(); id != nil {
		c.User, c.Guest = id.UserID, id.Guest
		if !id.ExpiresAt.IsZero() {
			c.ExpiresAt = id.ExpiresAt.UnixMilli()
		}
	}
	return c
}

// listing is a question for a part of a list.
type listing struct {
	Page
	User string `json:"user,omitempty"`
	Room string `json:"room,omitempty"`
}

// Connections lists a user's connections on all instances, by id.
func (f *Fleet) Connections(ctx context.Context, userID string, p Page) Connections {
	q := listing{Page: p, User: userID}
	h := askOthers[Connections](ctx, f, kindConnections, q)
	out := Connections{Connections: []Connection{}, Missing: h.missing}
	for _, one := range append(h.answers, f.connections(ctx, q)) {
		out.Count += one.Count
		out.More = out.More || one.More
		out.Connections = append(out.Connections, one.Connections...)
	}
	slices.SortFunc(out.Connections, byID)
	// Each instance gave as many as the page takes: the first of them all are
	// those of the page.
	if len(out.Connections) > p.Limit {
		out.Connections, out.More = out.Connections[:p.Limit], true
	}
	return out
}

func byID(a, b Connection) int { return cmp.Compare(a.Connection, b.Connection) }

// connections lists those of this instance.
func (f *Fleet) connections(_ context.Context, q listing) Connections {
	all := f.parts.Hub.Connections(q.User)
	out := Connections{Count: len(all)}
	all = slices.DeleteFunc(all, func(s *session.Session) bool { return s.ID() <= q.After })
	slices.SortFunc(all, func(x, y *session.Session) int { return cmp.Compare(x.ID(), y.ID()) })
	if len(all) > q.Limit {
		all, out.More = all[:max(q.Limit, 0)], true
	}
	for _, s := range all {
		out.Connections = append(out.Connections, f.describe(s))
	}
	return out
}
