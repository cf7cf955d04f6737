package engineio

import (
	"net/http"
	"strconv"

	"github.com/moonx-farm/ws-gateway/internal/jsonscan"
)

// ErrorCode is why a request is refused before it reaches a session.
type ErrorCode uint8

// The errors of the protocol.
const (
	TransportUnknown   ErrorCode = iota // the query's transport is none of ours
	SessionUnknown                      // no such sid, or the session is over
	BadHandshakeMethod                  // a handshake is a GET
	BadRequest                          // the request does not fit its session
	Forbidden                           // admission refuses the client
	UnsupportedVersion                  // the query's EIO is not Version
)

// ErrorContentType is the media type of ErrorCode.Body.
const ErrorContentType = "application/json"

// ErrorCodes lists the errors, ascending.
func ErrorCodes() []ErrorCode {
	return []ErrorCode{TransportUnknown, SessionUnknown, BadHandshakeMethod, BadRequest, Forbidden, UnsupportedVersion}
}

// String is the message that belongs to a code.
func (c ErrorCode) String() string {
	switch c {
	case TransportUnknown:
		return "Transport unknown"
	case SessionUnknown:
		return "Session ID unknown"
	case BadHandshakeMethod:
		return "Bad handshake method"
	case Forbidden:
		return "Forbidden"
	case UnsupportedVersion:
		return "Unsupported protocol version"
	}
	return "Bad request"
}

// Status is the HTTP status of the refusal.
func (c ErrorCode) Status() int {
	if c == Forbidden {
		return http.StatusForbidden
	}
	return http.StatusBadRequest
}

// Body is the refusal's body, {"code":0,"message":"Transport unknown"}. message
// is written for the client, in UTF-8, and replaces the code's own unless it is
// empty.
func (c ErrorCode) Body(message string) []byte {
	if message == "" {
		message = c.String()
	}
	b := append(make([]byte, 0, len(message)+32), `{"code":`...)
	b = strconv.AppendUint(b, uint64(c), 10)
	b = jsonscan.AppendQuoted(append(b, `,"message":`...), message)
	return append(b, '}')
}
