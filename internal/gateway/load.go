package gateway

// Load is a snapshot of what is on the way in.
type Load struct {
	Handshakes      int64 // under way
	Unauthenticated int64 // sessions that nobody has authenticated on yet
}

// Load returns what is on the way in.
func (g *Gateway) Load() Load { return Load{g.handshakes.Load(), g.parts.Router.Pending()} }

// TakesSocket tells whether one more TCP connection may come, so many of which
// are open and no WebSockets, this one too. It keeps descriptors free for what
// is no client: half of those that CapacityOf has left out.
func (g *Gateway) TakesSocket(open int64) bool {
	return open <= 2*int64(g.cfg.MaxHandshakes) && open+int64(g.parts.Hub.Count()) <= int64(g.capacity)+reservedDescriptors/2
}
