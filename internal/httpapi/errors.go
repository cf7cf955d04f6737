package httpapi

import (
	"errors"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/fault"
	"github.com/moonx-farm/ws-gateway/internal/fleet"
	"github.com/moonx-farm/ws-gateway/internal/problem"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// The codes of problems that the wire protocol does not have.
const (
	codeNotFound  wire.Code = "not_found"
	codeMethod    wire.Code = "method_not_allowed"
	codeMediaType wire.Code = "unsupported_media_type"
)

var (
	errNotFound     = wire.NewError(codeNotFound, "there is nothing here: see /api/v1/openapi.json")
	errNoConnection = wire.NewError(codeNotFound, "there is no connection with this id")
	errNoInstance   = wire.NewError(codeNotFound, "no instance has this name: see /api/v1/instances")
	errMethod       = wire.NewError(codeMethod, "the path does not take this method: see the header Allow")
	errMediaType    = wire.NewError(codeMediaType, "the body is application/json in UTF-8, not compressed")
	errBody         = wire.NewError(wire.InvalidMessage, "the body is one JSON object in UTF-8, nested at most 64 deep")
	errQuery        = wire.NewError(wire.InvalidMessage, "the query cannot be read")
	errRoom         = wire.NewError(wire.InvalidMessage, `a room's name has 1 to 128 bytes of [A-Za-z0-9_.:@/-]`)
	errUser         = wire.NewError(wire.InvalidMessage, "a user's id has 1 to 256 bytes of UTF-8")
	errSince        = wire.NewError(wire.InvalidMessage, `"since" is a position as "pos" gave it`)
	errTo           = wire.NewError(wire.InvalidMessage, `name one of "room", "user", "connection" and "everyone"`)
	errWhom         = wire.NewError(wire.InvalidMessage, `name one of "user" and "connection"`)
	errInstance     = wire.NewError(wire.InvalidMessage, `name an instance as "instance"`)
	errRevoke       = wire.NewError(wire.InvalidMessage, `name one of "user" and "token"; "until" goes with "user"`)
)

// retryAfter is when to try again what was refused for the moment.
const retryAfter = time.Second

// problemOf is an error as it is answered. What is not made for clients is
// logged, and told as internal.
func (a *API) problemOf(err error) problem.Problem {
	known, reason := a.told(err)
	p := problem.New(statusOf(known.Code), string(known.Code), known.Message)
	p.Reason = reason
	if p.Retryable = known.Code.Retryable(); p.Retryable {
		p.RetryAfter = retryAfter
	}
	a.stats.failed(known.Code)
	return p
}

// told is what a client is told of an error, and its reason where there is one.
func (a *API) told(err error) (known *wire.Error, reason string) {
	var state *broker.InsufficientStateError
	switch {
	case errors.Is(err, router.ErrNoConnection):
		return errNoConnection, ""
	case errors.Is(err, fleet.ErrNoInstance):
		return errNoInstance, ""
	case errors.As(err, &state):
		return wire.NewError(wire.InsufficientState, "the position cannot be continued from: read again without since"), state.Reason
	case errors.As(err, &known) && own[known.Code] != 0:
		return known, ""
	}
	known = a.faults.Report(err, zap.String("of", "server API"))
	return known, known.Reason
}

// refuse answers with an error, and returns the status of the answer.
func (a *API) refuse(w http.ResponseWriter, err error) int {
	p := a.problemOf(err)
	p.Write(w)
	return p.Status
}

// own are the statuses of codes that the wire protocol does not have.
var own = map[wire.Code]int{
	codeNotFound:  http.StatusNotFound,
	codeMethod:    http.StatusMethodNotAllowed,
	codeMediaType: http.StatusUnsupportedMediaType,
}

// statusOf is the HTTP status of a code.
func statusOf(code wire.Code) int {
	if status := own[code]; status != 0 {
		return status
	}
	return fault.RowOf(code).Status
}
