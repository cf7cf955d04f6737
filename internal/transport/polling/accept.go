package polling

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/moonx-farm/ws-gateway/internal/engineio"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// errRefused is returned by Accept for a request that is no handshake.
var errRefused = errors.New("accept engine.io session: no valid handshake")

// Accept implements transport.Acceptor: it opens a session for a request that
// has no session id, over polling or a WebSocket. req.Subprotocol is ignored.
func (s *Server) Accept(req transport.Request) error {
	if !s.enter() {
		s.unavailable(req.W, "shutting down")
		return ErrClosed
	}
	defer s.helpers.Done()
	q := readQuery(req.R)
	if code, ok := q.handshake(req.R); !ok {
		s.Refuse(req.W, code, "")
		return errRefused
	}
	if q.transport == engineio.WebSocket {
		return s.acceptWebSocket(req)
	}
	return s.acceptPolling(req)
}

// Continue carries out a request that names a session: a GET that polls, a POST
// with packets, or a WebSocket that the session may move to. It returns when
// the request was answered; a GET waits until there is something to say.
func (s *Server) Continue(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		s.unavailable(w, "shutting down")
		return
	}
	defer s.helpers.Done()
	q := readQuery(r)
	if !q.transport.Known() {
		s.Refuse(w, engineio.TransportUnknown, "")
		return
	}
	e := s.find(q.sid)
	switch {
	case e == nil:
		s.Refuse(w, engineio.SessionUnknown, "")
	case q.version != engineio.Version, q.upgrade != (q.transport == engineio.WebSocket):
		s.Refuse(w, engineio.BadRequest, "")
	case q.upgrade:
		s.probe(w, r, e)
	case r.Method == http.MethodGet:
		e.servePoll(w, r)
	case r.Method == http.MethodPost:
		e.servePost(w, r)
	default:
		s.Refuse(w, engineio.BadRequest, "")
	}
}

// query is what a request says of itself.
type query struct {
	transport    engineio.Transport
	sid, version string
	upgrade      bool // to a WebSocket
}

func readQuery(r *http.Request) query {
	v := r.URL.Query()
	return query{
		transport: engineio.Transport(v.Get("transport")), sid: v.Get("sid"), version: v.Get("EIO"),
		upgrade: isUpgrade(r),
	}
}

// HasSession tells whether a request names a session, which makes it one for
// Continue. The id may be anybody's invention.
func HasSession(r *http.Request) bool { return r.URL.Query().Get("sid") != "" }

// handshake tells whether a request may open a session.
func (q query) handshake(r *http.Request) (engineio.ErrorCode, bool) {
	switch {
	case !q.transport.Known():
		return engineio.TransportUnknown, false
	case q.sid != "":
		return engineio.SessionUnknown, false
	case r.Method != http.MethodGet:
		return engineio.BadHandshakeMethod, false
	case q.upgrade != (q.transport == engineio.WebSocket):
		return engineio.BadRequest, false
	case q.version != engineio.Version:
		return engineio.UnsupportedVersion, false
	}
	return 0, true
}

func isUpgrade(r *http.Request) bool {
	for _, h := range r.Header["Upgrade"] {
		for token := range strings.SplitSeq(h, ",") {
			if strings.EqualFold(strings.TrimSpace(token), "websocket") {
				return true
			}
		}
	}
	return false
}

func (s *Server) acceptWebSocket(req transport.Request) error {
	var failed error
	err := s.ws.Accept(transport.Request{W: req.W, R: req.R, OwnHeartbeat: true, Open: func(c transport.Conn) transport.Handler {
		e := newSession(s, c)
		if failed = s.add(e); failed != nil {
			c.Close(wire.Close{Code: wire.CloseGoingAway})
			return nobody{}
		}
		c.Send(e.openFrame(engineio.WebSocket))
		e.open(req.Open)
		return e
	}})
	if err = errors.Join(err, failed); err != nil {
		return fmt.Errorf("accept engine.io session: %w", err)
	}
	return nil
}

// acceptPolling opens a session whose first poll is the handshake itself.
func (s *Server) acceptPolling(req transport.Request) error {
	e := newSession(s, nil)
	if err := s.add(e); err != nil {
		s.unavailable(req.W, err.Error())
		return fmt.Errorf("accept engine.io session: %w", err)
	}
	e.sendPolling([]*wire.Frame{e.openFrame(engineio.Polling)})
	e.open(req.Open)
	e.opened()
	e.servePoll(req.W, req.R)
	return nil
}

// openFrame is the packet that tells the client its session.
func (e *session) openFrame(t engineio.Transport) *wire.Frame {
	const room = 160 // for all but the id
	sid := e.srv.sid(e.id)
	return wire.NewFrame(wire.Text, engineio.AppendOpen(wire.Buffer(room+len(sid)), sid, t, e.srv.cfg.limits()))
}

// nobody handles a WebSocket that no session has.
type nobody struct{}

var _ transport.Handler = nobody{}

// Receive implements transport.Handler.
func (nobody) Receive(wire.Op, []byte) bool { return true }

// Closed implements transport.Handler.
func (nobody) Closed(wire.Close) {}
