package fault

import (
	"net/http"

	"go.uber.org/zap/zapcore"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Row is what follows from an error code.
type Row struct {
	Code wire.Code
	// Close is how a connection ends that ends because of this error. What the
	// client should then do is Close.Reconnect.
	Close wire.CloseCode
	// Status is the error's HTTP status.
	Status int
	// Level is how loud the log is about it. Errors of clients are debug: a
	// client could else fill the log.
	Level zapcore.Level
}

// table is the one table of errors: a row for each of wire.Codes, in their
// order.
var table = [...]Row{
	{wire.InvalidMessage, wire.ClosePolicyViolation, http.StatusBadRequest, zapcore.DebugLevel},
	{wire.Unauthenticated, wire.CloseUnauthenticated, http.StatusUnauthorized, zapcore.DebugLevel},
	{wire.Forbidden, wire.ClosePolicyViolation, http.StatusForbidden, zapcore.DebugLevel},
	{wire.UnknownEvent, wire.ClosePolicyViolation, http.StatusNotFound, zapcore.DebugLevel},
	{wire.TooLarge, wire.CloseTooBig, http.StatusRequestEntityTooLarge, zapcore.DebugLevel},
	{wire.RateLimited, wire.CloseLimit, http.StatusTooManyRequests, zapcore.DebugLevel},
	{wire.LimitExceeded, wire.CloseLimit, http.StatusTooManyRequests, zapcore.DebugLevel},
	{wire.InsufficientState, wire.ClosePolicyViolation, http.StatusGone, zapcore.DebugLevel},
	{wire.Conflict, wire.ClosePolicyViolation, http.StatusConflict, zapcore.DebugLevel},
	{wire.Unavailable, wire.CloseTryAgainLater, http.StatusServiceUnavailable, zapcore.WarnLevel},
	{wire.Internal, wire.CloseInternal, http.StatusInternalServerError, zapcore.ErrorLevel},
}

// Table returns all rows, in the order of wire.Codes.
func Table() []Row { return append([]Row(nil), table[:]...) }

// RowOf returns the row of a code; an unknown one is internal.
func RowOf(code wire.Code) Row { return table[index(code)] }

// index is where a code's row stands.
func index(code wire.Code) int {
	for i := range table {
		if table[i].Code == code {
			return i
		}
	}
	return len(table) - 1 // internal
}

// Retry reports whether the same request may succeed later unchanged.
func (r Row) Retry() bool { return r.Code.Retryable() }

// Goodbye is the close of a connection that ends because of the error. Its
// reason is the error's code.
func (r Row) Goodbye() wire.Close { return wire.Close{Code: r.Close, Reason: string(r.Code)} }
