package gateway

import "github.com/moonx-farm/ws-gateway/internal/wire"

// Load is a snapshot of what is on the way in.
type Load struct {
	Handshakes      int64 // under way
	Unauthenticated int64 // connections that nobody has authenticated on yet
}

// Load returns what is on the way in.
func (g *Gateway) Load() Load { return Load{g.handshakes.Load(), g.unauthenticated()} }

// Lobby holds connections of Socket.IO clients that have no session, so that
// neither hub nor router know of them.
type Lobby interface {
	Waiting() int64
	// Dismiss closes them.
	Dismiss(why wire.Close)
}

// waiting counts the connections in the lobby.
func (g *Gateway) waiting() int64 {
	if g.lobby == nil {
		return 0
	}
	return g.lobby.Waiting()
}

// connections counts what capacity bounds: sessions, and connections that have
// none yet. A Socket.IO client has a session in each of its namespaces.
func (g *Gateway) connections() int { return g.parts.Hub.Count() + int(g.waiting()) }

// unauthenticated counts the connections that nobody has authenticated on yet.
func (g *Gateway) unauthenticated() int64 { return g.parts.Router.Pending() + g.waiting() }

// Standing is what the gateway carries, and whether it takes more.
type Standing struct {
	Connections int
	Capacity    int
	Memory      int64 // bytes in use
	MemoryLimit int64 // in use above which nobody is let in; 0: none
	Full        bool  // nobody is let in now
	Draining    bool
}

// Standing returns what the gateway carries. It costs some microseconds.
func (g *Gateway) Standing() Standing {
	s := Standing{
		Connections: g.connections(), Capacity: g.capacity, Draining: g.draining.Load(),
		Memory: int64(g.memory.read().Live), MemoryLimit: int64(g.memory.budget), //nolint:gosec // bytes of memory there is
	}
	s.Full = g.handshakes.Load()+int64(s.Connections) >= int64(s.Capacity) || g.memory.exceeded()
	return s
}

// TakesSocket tells whether one more TCP connection may come, so many of which
// are open and no WebSockets, this one too. It keeps descriptors free for what
// is no client: half of those that CapacityOf has left out.
func (g *Gateway) TakesSocket(open int64) bool {
	return open <= 2*int64(g.cfg.MaxHandshakes) && open+int64(g.connections()) <= int64(g.capacity)+reservedDescriptors/2
}
