package hub

// Watcher is told of rooms that get their first member on this instance and
// lose their last. Its methods must not block and are called with the room's
// lock held, in the order of events. Safe for concurrent use.
type Watcher interface {
	Occupied(room string)
	Vacated(room string)
}

// UseWatcher says who is told of rooms. Call it before the first session is
// added.
func (h *Hub) UseWatcher(w Watcher) { h.watcher = w }

// occupiedLocked tells the watcher of a first member. Guarded by room.mu.
func (h *Hub) occupiedLocked(r *room) {
	if h.watcher != nil && len(r.members) == 1 {
		h.watcher.Occupied(r.name)
	}
}

// vacatedLocked tells the watcher that the last member left. Guarded by
// room.mu.
func (h *Hub) vacatedLocked(r *room) {
	if h.watcher != nil && len(r.members) == 0 {
		h.watcher.Vacated(r.name)
	}
}
