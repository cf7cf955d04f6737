package socketio

import (
	"context"
	"encoding/json"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	codec "github.com/moonx-farm/ws-gateway/internal/codec/socketio"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// resumeTime bounds how long a session is being recovered: then its client gets
// a new one.
const resumeTime = 10 * time.Second

// Resumed is a session that was cut and is to be taken up.
type Resumed struct {
	SID      string
	Identity *auth.Identity
	Rooms    []wire.Place // what the client has of each, about; never more
	// Say answers the CONNECT, with a frame behind the answer. What is sent
	// before it goes in front of both. False when that cannot be.
	Say func(first *wire.Frame) bool
}

// resume takes up the session that a CONNECT names, if the client may and
// nothing of it is missing.
func (c *conn) resume(ctx context.Context, a Connect, admitted Admitted) bool {
	r := c.server.recovery
	if r == nil || a.Auth.PID == "" || len(a.Auth.PID) > maxPID || admitted.Resume == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, resumeTime)
	defer cancel()
	was, ok := r.take(ctx, a, admitted.Identity)
	if !ok {
		return false
	}
	id, ok := was.identity(admitted.Identity, a.Identity != nil)
	if !ok {
		return false
	}
	a.SID = was.SID
	if !c.takeUp(ctx, a, admitted, Resumed{SID: was.SID, Identity: id, Rooms: was.rooms}, was.record) {
		return false
	}
	r.recovered.Add(1)
	return true
}

// takeUp opens the socket of a session that was taken out of the store. False:
// it cannot be recovered. If that is because its connection has ended, it is put
// back.
func (c *conn) takeUp(ctx context.Context, a Connect, admitted Admitted, to Resumed, was Record) bool {
	s := c.hold(a, to.Identity, was.Owner)
	if s == nil {
		c.server.recovery.putBack(ctx, was)
		return false
	}
	to.Say = s.say
	h, ok := admitted.Resume(ctx, s, to)
	switch {
	case ok:
		c.opened(s, h)
	case c.unhold(s):
		c.server.recovery.putBack(ctx, was)
	}
	return ok
}

// taken is a session's state that was taken out of the store.
type taken struct {
	state
	rooms  []wire.Place // from what the client has of them
	record Record       // as it was
}

// identity is whom the session goes on as: a guest as the one it was, unless its
// connection is another one's by now.
func (t taken) identity(id *auth.Identity, known bool) (*auth.Identity, bool) {
	if id.UserID == t.User {
		return id, true
	}
	own := *id
	own.UserID = t.User
	return &own, id.Guest && !known
}

// take takes a session's state out of the store, for a new owner.
func (r *recovery) take(ctx context.Context, a Connect, id *auth.Identity) (was taken, ok bool) {
	owner := newOwner()
	key, match := keyOf(a.Auth.PID), matchOf(a.Codec.Namespace(), id)
	err := r.release(ctx, key, match)
	var raw []byte
	if err == nil {
		raw, err = r.takeRaw(ctx, key, match, owner)
	}
	if err == nil && raw != nil {
		err = json.Unmarshal(raw, &was.state)
	}
	if err == nil {
		was.rooms, err = was.places()
	}
	if err != nil { // that the store is away is said once, by who writes
		r.log.Debug("a Socket.IO session could not be recovered", zap.Error(err))
		return was, false
	}
	was.record = Record{Key: key, Owner: owner, Match: match, State: raw, TTL: r.window}
	was.rooms = seen(was.rooms, a.Auth.Offset)
	return was, raw != nil && was.SID != ""
}

func (r *recovery) takeRaw(ctx context.Context, key, match, owner string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	return r.store.Take(ctx, key, match, owner, r.window)
}

// putBack lets the session of a client be recovered that has gone again
// meanwhile.
func (r *recovery) putBack(ctx context.Context, was Record) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
	defer cancel()
	if _, err := r.store.Put(ctx, []Record{was}); err != nil {
		r.log.Debug("a Socket.IO session could not be written down", zap.Error(err))
	}
}

// seen puts a client's offset in the place of its room's position, unless that
// is known to be behind.
func seen(rooms []wire.Place, offset string) []wire.Place {
	room, at, ok := codec.ParseOffset(offset)
	for i := range rooms {
		p := &rooms[i]
		if ok && p.Room == room && !p.Position.IsZero() && (p.Position.Epoch != at.Epoch || p.Position.Offset < at.Offset) {
			p.Position = at
		}
	}
	return rooms
}

// held is what is sent to a socket whose session is being recovered, until its
// client is answered. Guarded by conn.mu.
type held struct {
	frames []*wire.Frame
	bytes  int
	over   bool // there was more than may be held
}

// add holds frames; false when there are too many.
func (h *held) add(limit int, fs ...*wire.Frame) bool {
	for _, f := range fs {
		h.bytes += len(f.Payload())
		for _, p := range f.Parts {
			h.bytes += len(p.Payload())
		}
	}
	if h.over = h.over || h.bytes > limit; h.over {
		h.frames = nil
		return false
	}
	h.frames = append(h.frames, fs...)
	return true
}

// hold adds a socket that holds back what is sent to it; nil when the connection
// has ended.
func (c *conn) hold(a Connect, id *auth.Identity, owner string) *socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.addLocked(a, id)
	if s != nil {
		s.held = &held{}
		s.track = c.server.recovery.newTrack(s, a.SID, a.Auth.PID, owner, id)
	}
	return s
}

// unhold takes it away again, as it cannot be recovered. It tells whether the
// connection has ended.
func (c *conn) unhold(s *socket) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !s.ended {
		s.endLocked(wire.Close{}, true)
	}
	s.track.finish() // there is no session
	s.held = nil
	c.dropLocked(s)
	return c.ended
}

// say is Resumed.Say.
func (s *socket) say(first *wire.Frame) bool {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.ended || s.held.over {
		return false
	}
	frames := append(whole(s.held.frames), s.codec.Connected(s.track.sid, s.track.pid), first)
	s.held = nil
	c.server.connects.Add(1)
	s.track.recovery.add(s.track)
	c.engine.SendAll(frames) // if the connection is closing, the session ends with it, and is kept
	return true
}

// Entered tells the account of the socket's session, if there is one, of a room
// that it is in.
func (s *socket) Entered(p wire.Place) {
	if s.track != nil {
		s.track.entered(p)
	}
}

// Exited tells it of one that it has left.
func (s *socket) Exited(room string) {
	if s.track != nil {
		s.track.exited(room)
	}
}

// finish tells the session of the socket's end.
func (s *socket) finish(why wire.Close) {
	s.handler.Closed(why)
	if s.track != nil {
		s.track.finish()
	}
}
