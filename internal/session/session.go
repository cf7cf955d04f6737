package session

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"net/netip"
	"sync"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/codec"
	"github.com/moonx-farm/ws-gateway/internal/limit"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/wheel"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Dispatcher takes what a session receives.
type Dispatcher interface {
	// Dispatch handles one request; req is valid until it returns. False
	// stops the connection's messages until Session.Resume.
	Dispatch(s *Session, req *wire.Request) bool
	// Refused is told of a message that could not be decoded.
	Refused(s *Session, req *wire.Request, err error)
	// Closed is called once, last.
	Closed(s *Session, c wire.Close)
}

// Hello is what is known of a client when its connection opens.
type Hello struct {
	// ID is the session's id, which the client knows already; "": a new one.
	ID    string
	Codec codec.Codec
	Peer  netip.Addr
	// Identity is nil while no credential was presented and none is needed
	// yet: the client has the authentication deadline to present one.
	Identity *auth.Identity
	// Since is the raw JSON object of resume positions by room, nil without.
	Since []byte
	// Fault is why the presented credential was not accepted. The client is
	// told and the connection closed.
	Fault *wire.Error
	// Account is what the connection has taken of what is limited; nil when
	// nothing is. Whoever ends the session closes it (CloseAccount).
	Account *limit.Account
	// Shared says that Account is that of several sessions: it is closed by who
	// has opened it, not with the session.
	Shared bool
}

// Seat is a place in a room, kept for the hub.
type Seat interface{ Room() string }

// Publish is a publish request that is under way.
type Publish struct {
	Nonce uint64 // of the entry, see wire.Position
	Room  string
	ID    []byte // the request's id, nil: no reply wanted
}

// Session is one client. Safe for concurrent use.
type Session struct {
	// Immutable after New.
	id      string
	conn    transport.Conn
	codec   codec.Codec
	to      Dispatcher
	peer    [16]byte // the client's address in IPv6, zero when not known; a netip.Addr has 8 bytes more
	account *limit.Account

	// Timer is the authentication deadline, then the credential's expiry; the
	// router's.
	Timer wheel.Timer

	mu        sync.Mutex
	identity  *auth.Identity // guarded by mu; nil until authenticated
	ownRoom   string         // guarded by mu; room of the user
	seats     []Seat         // guarded by mu
	publish   *Publish       // guarded by mu; nil when none is under way
	closed    bool           // guarded by mu: takes no more seats
	announced bool           // guarded by mu
	refresh   Refresh        // guarded by mu
	shared    bool           // immutable: account is somebody else's to close
	opened    uint32         // immutable: when, in Unix seconds; a time.Time has 20 bytes more
}

var _ transport.Handler = (*Session)(nil)

// New makes the session of a connection.
func New(conn transport.Conn, hello Hello, to Dispatcher) *Session {
	return &Session{
		id: cmp.Or(hello.ID, newID()), conn: conn, codec: hello.Codec, to: to,
		peer: hello.Peer.As16(), account: hello.Account, shared: hello.Shared,
		opened: uint32(time.Now().Unix()), //nolint:gosec // until the year 2106
	}
}

// newID returns 96 random bits: connection ids cannot be guessed.
func newID() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// ID is the connection's id, random and unique.
func (s *Session) ID() string { return s.id }

// Peer is the client's address, without a zone; the zero Addr when it is not
// known.
func (s *Session) Peer() netip.Addr {
	if addr := netip.AddrFrom16(s.peer).Unmap(); !addr.IsUnspecified() {
		return addr
	}
	return netip.Addr{}
}

// Opened is when the connection opened, to the second.
func (s *Session) Opened() time.Time { return time.Unix(int64(s.opened), 0) }

// State is what the connection tells of itself.
func (s *Session) State() transport.State { return transport.StateOf(s.conn) }

// Account is what the connection has taken of what is limited; nil when
// nothing is.
func (s *Session) Account() *limit.Account { return s.account }

// CloseAccount gives back what the connection has taken, as the session ends;
// but what it shares with others stays taken.
func (s *Session) CloseAccount() {
	if !s.shared {
		s.account.Close()
	}
}

// Alone tells whether the session has its client's connection for itself. What
// is received from the client cannot change that before Resume.
func (s *Session) Alone() bool {
	c, ok := s.conn.(interface{ Alone() bool })
	return !ok || c.Alone()
}

// Codec is the client's dialect.
func (s *Session) Codec() codec.Codec { return s.codec }

// Receive implements transport.Handler.
func (s *Session) Receive(op wire.Op, payload []byte) bool {
	if op != wire.Text {
		s.conn.Close(wire.Close{Code: wire.CloseUnsupported, Reason: "messages are JSON text"})
		return true
	}
	var req wire.Request
	if err := s.codec.Decode(op, payload, &req); err != nil {
		if strict, ok := s.codec.(codec.Strict); ok && strict.Violation(err) {
			s.conn.Close(wire.Close{Code: wire.CloseProtocolError, Reason: "malformed message"})
			return true
		}
		s.to.Refused(s, &req, err)
		return true
	}
	return s.to.Dispatch(s, &req)
}

// Closed implements transport.Handler.
func (s *Session) Closed(c wire.Close) { s.to.Closed(s, c) }

// Resume lets messages come again after Dispatch returned false.
func (s *Session) Resume() { s.conn.Resume() }

// Send encodes and queues one event; false when the connection is closing.
func (s *Session) Send(e wire.Event) bool { return s.conn.Send(s.codec.Event(e)) }

// SendFrames queues frames of the session's codec in order.
func (s *Session) SendFrames(fs []*wire.Frame) bool { return s.conn.SendAll(fs) }

// Close says goodbye politely, after all that is queued.
func (s *Session) Close(c wire.Close) { s.conn.Close(c) }

// Abort cuts the connection.
func (s *Session) Abort() { s.conn.Abort() }
