package socketio

import "github.com/moonx-farm/ws-gateway/internal/transport"

var _ transport.Observable = (*socket)(nil)

// State implements transport.Observable. It is that of the whole connection:
// its sockets share one queue.
func (s *socket) State() transport.State { return transport.StateOf(s.conn.engine) }
