package ws

import (
	"time"

	"github.com/moonx-farm/ws-gateway/internal/transport"
)

var _ transport.Observable = (*conn)(nil)

// State implements transport.Observable.
func (c *conn) State() transport.State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return transport.State{
		Name: "websocket", QueueBytes: c.queued, Heard: c.srv.birth.Add(time.Duration(c.heard.Load())),
	}
}
