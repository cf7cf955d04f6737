package peer

import (
	"net/http"

	"github.com/moonx-farm/ws-gateway/internal/transport"
)

// Engine is an Engine.IO server.
type Engine interface {
	transport.Acceptor
	// Continue serves a request of a session that there is.
	Continue(w http.ResponseWriter, r *http.Request)
}

// Over is an Engine whose sessions may be on any instance: requests of those
// that are not on this one are passed on.
func (f *Forwarder) Over(local Engine) Engine { return &spread{local, f} }

type spread struct {
	Engine
	forwarder *Forwarder
}

// Continue implements Engine.
func (s *spread) Continue(w http.ResponseWriter, r *http.Request) {
	if s.forwarder.Elsewhere(r.URL.Query().Get("sid")) {
		s.forwarder.ServeHTTP(w, r)
		return
	}
	s.Engine.Continue(w, r)
}
