package polling

import "github.com/moonx-farm/ws-gateway/internal/transport"

var _ transport.Observable = (*session)(nil)

// State implements transport.Observable. When a polling client was heard last
// is not noted: its polls are its signs of life.
func (e *session) State() transport.State {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.ws != nil:
		return transport.StateOf(e.ws)
	case e.polls == nil:
		return transport.State{Name: "polling"}
	}
	return transport.State{Name: "polling", QueueBytes: e.polls.charged - e.polls.written()}
}
