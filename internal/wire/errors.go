package wire

import "errors"

// Code names an error on the wire.
type Code string

// The error codes of gateway.v1.
const (
	InvalidMessage    Code = "invalid_message"
	Unauthenticated   Code = "unauthenticated"
	Forbidden         Code = "forbidden"
	UnknownEvent      Code = "unknown_event"
	TooLarge          Code = "too_large"
	RateLimited       Code = "rate_limited"
	LimitExceeded     Code = "limit_exceeded"
	InsufficientState Code = "insufficient_state"
	Conflict          Code = "conflict"
	Unavailable       Code = "unavailable"
	Internal          Code = "internal"
)

// Codes lists every error code, in the order of the documents.
func Codes() []Code {
	return []Code{InvalidMessage, Unauthenticated, Forbidden, UnknownEvent, TooLarge, RateLimited,
		LimitExceeded, InsufficientState, Conflict, Unavailable, Internal}
}

// Retryable reports whether the same request may succeed later unchanged.
func (c Code) Retryable() bool {
	return c == RateLimited || c == LimitExceeded || c == Unavailable || c == Internal
}

// Error is an error that a client may see: Message is written for the client
// and holds nothing internal and nothing secret.
type Error struct {
	Code    Code
	Message string
	// Reason is a code of the application's own, from the service of a route;
	// "" otherwise.
	Reason string
}

// Error implements error.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// Is makes two errors of one code equal for errors.Is.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// NewError returns an error for clients.
func NewError(code Code, message string) *Error { return &Error{Code: code, Message: message} }

// IsCode reports whether an error carries a code.
func IsCode(err error, code Code) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == code
}
