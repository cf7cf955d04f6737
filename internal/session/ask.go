package session

import "github.com/moonx-farm/ws-gateway/internal/wire"

// ErrMute is told of clients whose protocol has no acknowledgements: they
// cannot be asked anything.
var ErrMute = wire.NewError(wire.Conflict, "the client's protocol has no acknowledgements: only Socket.IO clients can be asked")

// Ask sends the client an event that it is to acknowledge. answered gets what
// it says, one JSON value or nil, or why there will be no answer; it is called
// once at most, with locks held, and must neither block nor call the session.
// How long the client may take is the caller's business: it calls withdraw, after
// which answered is not called any more. Errors are wire.Errors, ErrMute among
// them; then nothing was sent.
func (s *Session) Ask(event string, data []byte, answered func(data []byte, err error)) (withdraw func(), err error) {
	c, ok := s.conn.(interface {
		Ask(event string, data []byte, answered func([]byte, error)) (func(), error)
	})
	if !ok {
		return nil, ErrMute
	}
	return c.Ask(event, data, answered)
}
