package socketio

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// track is the account of one socket's session, from which it can be recovered.
type track struct {
	// Immutable.
	recovery *recovery
	socket   *socket
	sid      string
	pid      string // a secret
	key      string
	owner    string
	identity *auth.Identity // that its CONNECT was admitted with
	over     chan struct{}  // closed when the session has ended

	// Guarded by recovery.mu.
	rooms    map[string]*mark
	version  uint64 // of rooms: counts what entered and exited
	beat     uint32 // pings that had been sent when the marks' next were noted; see checkpoint
	noted    bool   // next are there
	queued   bool   // is among those to be written
	closed   bool   // has ended: is written once more
	finished bool   // and its session knows
	dropped  bool   // is to be deleted
	written  time.Time
}

// mark is how far a session is in one room; zero where there is no history.
type mark struct {
	at   wire.Position // the client has everything up to it
	next wire.Position // that, too, once it has answered the next ping; zero: nothing new
}

// newPID makes the secret by which a session can be recovered: 144 random bits.
func newPID() string {
	var b [18]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// maxPID bounds what is looked up.
const maxPID = 64

// keyOf names a record: who reads the store cannot recover what is there.
func keyOf(pid string) string {
	sum := sha256.Sum256([]byte(pid))
	return base64.RawURLEncoding.EncodeToString(sum[:24])
}

// matchOf is what who takes a session must present: its namespace and user. For
// guests nobody vouches; they have the pid alone.
func matchOf(namespace string, id *auth.Identity) string {
	if id.Guest {
		return namespace + "\n"
	}
	return namespace + "\n" + id.UserID
}

// state is a session in a record.
type state struct {
	SID   string       `json:"sid"`
	User  string       `json:"user"`
	Rooms []statePlace `json:"rooms"`
}

type statePlace struct {
	Room string `json:"room"`
	Pos  string `json:"pos,omitempty"`
}

// places reads the rooms of a state.
func (s state) places() ([]wire.Place, error) {
	out := make([]wire.Place, 0, len(s.Rooms))
	for _, r := range s.Rooms {
		p := wire.Place{Room: r.Room}
		if r.Pos != "" {
			at, err := wire.ParsePosition(r.Pos)
			if err != nil {
				return nil, err
			}
			p.Position = at
		}
		out = append(out, p)
	}
	return out, nil
}

// who is the session's identity now.
func (t *track) who() *auth.Identity {
	t.socket.conn.mu.Lock()
	h := t.socket.handler
	t.socket.conn.mu.Unlock()
	if s, ok := h.(interface{ Identity() *auth.Identity }); ok {
		return cmp.Or(s.Identity(), t.identity)
	}
	return t.identity
}

// record is what is to be written. It takes the session's lock and
// recovery.mu.
func (t *track) record() Record {
	id := t.who()
	r := t.recovery
	r.mu.Lock()
	defer r.mu.Unlock()
	out := Record{Key: t.key, Owner: t.owner, Match: matchOf(t.socket.codec.Namespace(), id), TTL: r.window}
	if !t.closed {
		out.TTL += r.refresh() + 2*checkpointEvery
	}
	if t.dropped {
		return out
	}
	s := state{SID: t.sid, User: id.UserID, Rooms: make([]statePlace, 0, len(t.rooms))}
	for room, m := range t.rooms {
		s.Rooms = append(s.Rooms, statePlace{room, m.at.String()})
	}
	slices.SortFunc(s.Rooms, func(a, b statePlace) int { return cmp.Compare(a.Room, b.Room) })
	b, err := json.Marshal(s)
	if err != nil || len(b) > maxState {
		return out // which deletes it: half a state would lose rooms
	}
	out.State = b
	return out
}

// maxState bounds one record, in bytes: some 700 rooms with names of 40 bytes.
const maxState = 64 << 10

// entered notes that the session is in a room, with all up to a position.
func (t *track) entered(p wire.Place) {
	t.change(func() { t.rooms[p.Room] = &mark{at: p.Position} })
}

// exited notes that it is not any more.
func (t *track) exited(room string) {
	t.change(func() { delete(t.rooms, room) })
}

func (t *track) change(f func()) {
	r := t.recovery
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
	t.version++
	r.queueLocked(t)
}

// ended notes the session's end. dropped: it is not to be recovered.
func (t *track) ended(dropped bool) {
	_, answered := t.socket.conn.heartbeats()
	r := t.recovery
	r.mu.Lock()
	defer r.mu.Unlock()
	t.confirmLocked(answered)
	t.closed, t.dropped = true, t.dropped || dropped
	r.queueLocked(t)
}

// finish notes that the session knows of its end.
func (t *track) finish() {
	close(t.over)
	r := t.recovery
	r.mu.Lock()
	defer r.mu.Unlock()
	t.finished = true
	r.queueLocked(t) // which forgets it, should it have been written already
}

// confirmLocked makes the marks' next their present if the client has answered
// a ping that was sent after they had been noted. It tells whether one was.
func (t *track) confirmLocked(answered uint32) (changed bool) {
	if !t.noted || answered <= t.beat {
		return false
	}
	t.noted = false
	for _, m := range t.rooms {
		if !m.next.IsZero() && m.next != m.at {
			m.at, changed = m.next, true
		}
		m.next = wire.Position{}
	}
	return changed
}

// checkpoint brings the marks up to what the client certainly has. What was
// queued for it may be lost with its connection; what it has got it has said by
// answering a ping that followed. So positions are noted, and count when the
// first ping after them is answered.
func (t *track) checkpoint() {
	r := t.recovery
	_, answered := t.socket.conn.heartbeats()
	r.mu.Lock()
	if t.confirmLocked(answered) || time.Since(t.written) >= r.refresh() {
		r.queueLocked(t)
	}
	idle := t.noted || t.closed
	version := t.version
	r.mu.Unlock()
	if !idle {
		t.note(version)
	}
}

// note notes how far the rooms are, unless one was entered or left since it had
// a version: one that was entered anew begins anew.
func (t *track) note(version uint64) {
	r := t.recovery
	var next []wire.Place
	r.places(t.sid, func(p wire.Place) { next = append(next, p) })
	sent, _ := t.socket.conn.heartbeats() // later than what next tells of
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.version != version {
		return
	}
	for _, p := range next {
		if m := t.rooms[p.Room]; m != nil && m.at != p.Position {
			m.next, t.noted, t.beat = p.Position, true, sent
		}
	}
}

// heartbeats counts the pings of the connection that were sent and answered.
func (c *conn) heartbeats() (sent, answered uint32) {
	if e, ok := c.engine.(interface {
		Heartbeats() (sent, answered uint32)
	}); ok {
		return e.Heartbeats()
	}
	return 0, 0
}
