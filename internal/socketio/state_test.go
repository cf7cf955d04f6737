package socketio

import (
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/transport"
)

// observed is a connection that tells of itself.
type observed struct{ transport.Conn }

func (observed) State() transport.State { return transport.State{Name: "websocket", QueueBytes: 7} }

func TestASocketTellsOfItsConnection(t *testing.T) {
	s := &socket{conn: &conn{engine: observed{}}}
	if got := transport.StateOf(s); got != (transport.State{Name: "websocket", QueueBytes: 7}) {
		t.Errorf("%+v", got)
	}
	s = &socket{conn: &conn{}}
	if got := transport.StateOf(s); got != (transport.State{}) {
		t.Errorf("of a connection that tells nothing: %+v", got)
	}
}
