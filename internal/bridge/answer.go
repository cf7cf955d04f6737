package bridge

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/moonx-farm/ws-gateway/internal/jsonscan"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

const (
	maxReason  = 64
	maxMessage = 256
)

var (
	errBusy    = wire.NewError(wire.Unavailable, "the event's service has as many calls as it may have at once: try again")
	errOpen    = wire.NewError(wire.Unavailable, "the event's service is failing: try again later")
	errFailed  = wire.NewError(wire.Unavailable, "the event's service could not be reached or failed")
	errLate    = wire.NewError(wire.Unavailable, "the event's service did not answer in time; it may have acted")
	errGarbage = wire.NewError(wire.Internal, "the event's service gave no usable answer")
)

// judge makes the client's answer of a backend's: JSON data, or an error and
// how it counts.
func judge(r response) ([]byte, outcome, error) {
	switch {
	case r.status >= 500:
		return nil, failed, errFailed
	case r.long:
		return nil, garbage, errGarbage
	case r.status >= 400:
		return judgeRefusal(r)
	case r.status >= 300 || r.status < 200:
		return nil, garbage, errGarbage
	case len(r.body) == 0:
		return nil, answered, nil
	case !validJSON(r.body):
		return nil, garbage, errGarbage
	}
	return r.body, answered, nil
}

func validJSON(b []byte) bool { return utf8.Valid(b) && jsonscan.Valid(b) == nil }

// judgeRefusal maps a status of 4xx. An object with a code was written by the
// application for its client, who gets it; of anything else only the status
// counts, and most of those mean that the route is set up wrongly.
func judgeRefusal(r response) ([]byte, outcome, error) {
	code, known := refusals[r.status]
	reason, message := applicationError(r.body)
	switch {
	case reason != "" && !known:
		code = wire.InvalidMessage
		if r.status == http.StatusUnauthorized {
			code = wire.Forbidden
		}
	case !known:
		return nil, garbage, errGarbage
	}
	if message == "" {
		message = "the event's service did not accept it"
	}
	return nil, refused, &wire.Error{Code: code, Message: message, Reason: reason}
}

// refusals are the statuses that mean something to a client by themselves.
var refusals = map[int]wire.Code{
	http.StatusBadRequest:            wire.InvalidMessage,
	http.StatusForbidden:             wire.Forbidden,
	http.StatusRequestTimeout:        wire.Unavailable,
	http.StatusConflict:              wire.Conflict,
	http.StatusPreconditionFailed:    wire.Conflict,
	http.StatusRequestEntityTooLarge: wire.TooLarge,
	http.StatusUnprocessableEntity:   wire.InvalidMessage,
	http.StatusTooEarly:              wire.Unavailable,
	http.StatusTooManyRequests:       wire.RateLimited,
}

// applicationError reads {"code": …, "message": …}, as far as it is fit to be
// shown: a code is a word, a message one line of text.
func applicationError(body []byte) (code, message string) {
	if !validJSON(body) {
		return "", ""
	}
	for f := jsonscan.Object(body); f.Next(); {
		switch string(f.Key) {
		case "code":
			code, _ = jsonscan.Unquote(f.Value)
		case "message":
			message, _ = jsonscan.Unquote(f.Value)
		}
	}
	if !isWord(code) {
		return "", ""
	}
	if !isLine(message) {
		message = ""
	}
	return code, message
}

// wordBytes are what a code is made of.
const wordBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."

func isWord(s string) bool {
	return s != "" && len(s) <= maxReason && strings.Trim(s, wordBytes) == ""
}

func isLine(s string) bool {
	for _, r := range s {
		if r < 0x20 || r == 0x7f || r == utf8.RuneError {
			return false
		}
	}
	return len(s) <= maxMessage
}
