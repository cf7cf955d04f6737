package polling

import (
	"net/http"
	"strconv"

	"github.com/moonx-farm/ws-gateway/internal/engineio"
)

// What a payload and the answer to a POST are called. Of a POST's the
// reference says that browsers would else offer to download it.
const (
	payloadType = "text/plain; charset=UTF-8"
	postedType  = "text/html"
	posted      = "ok"
)

// preflightAge is how long browsers may remember a preflight, in seconds.
const preflightAge = "600"

// Refuse answers a request with one of the protocol's errors. message is
// written for the client and replaces the code's own unless it is empty.
func (s *Server) Refuse(w http.ResponseWriter, code engineio.ErrorCode, message string) {
	s.refuse(w, code.Status(), code, message)
}

// unavailable refuses a request that may come again later.
func (s *Server) unavailable(w http.ResponseWriter, message string) {
	w.Header().Set("Retry-After", "1")
	s.refuse(w, http.StatusServiceUnavailable, engineio.Forbidden, message)
}

func (s *Server) refuse(w http.ResponseWriter, status int, code engineio.ErrorCode, message string) {
	s.stats.refused.Add(1)
	reply(w, status, engineio.ErrorContentType, code.Body(message))
}

// reply writes a whole answer; net/http tells of a failure when it flushes.
func reply(w http.ResponseWriter, status int, kind string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// AllowOrigin lets the page that a request comes from read its answer, with
// cookies and credentials. Call it for requests whose origin admission allows,
// before they are answered, refusals too; it does nothing for others than
// browsers.
func AllowOrigin(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Add("Vary", "Origin")
	if origin := r.Header.Get("Origin"); origin != "" {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
	}
}

// Preflight answers a browser that asks what it may send (OPTIONS): GET and
// POST with the headers that it asks for. AllowOrigin comes before it if the
// page may send anything at all.
func Preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Add("Vary", "Access-Control-Request-Headers")
	h.Set("Access-Control-Allow-Methods", "GET, POST")
	if wanted := r.Header.Get("Access-Control-Request-Headers"); wanted != "" {
		h.Set("Access-Control-Allow-Headers", wanted)
	}
	h.Set("Access-Control-Max-Age", preflightAge)
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusNoContent)
}
