package ws

import "sync"

// table knows every open connection. A slot is reused; its generation is not,
// so that an event for a connection that is gone finds nobody.
type table struct {
	mu    sync.RWMutex
	slots []*conn  // guarded by mu
	free  []uint32 // guarded by mu
	gen   uint32   // guarded by mu: last generation given
	shut  bool     // guarded by mu: nobody comes in any more
}

// add gives c its slot and generation; false once the table is shut.
func (t *table) add(c *conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.shut {
		return false
	}
	t.gen++
	c.gen = t.gen
	if n := len(t.free); n > 0 {
		c.slot, t.free = t.free[n-1], t.free[:n-1]
		t.slots[c.slot] = c
		return true
	}
	c.slot = uint32(len(t.slots)) //nolint:gosec // bounded by descriptors
	t.slots = append(t.slots, c)
	return true
}

// lookup finds the connection an event is for. Called with mu held.
func (t *table) lookup(slot, gen uint32) *conn {
	if int(slot) >= len(t.slots) {
		return nil
	}
	if c := t.slots[slot]; c != nil && c.gen == gen {
		return c
	}
	return nil
}

func (t *table) remove(c *conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.slots[c.slot] = nil
	t.free = append(t.free, c.slot)
}

// close keeps everybody out from now on and returns who is in.
func (t *table) close() []*conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.shut = true
	var all []*conn
	for _, c := range t.slots {
		if c != nil {
			all = append(all, c)
		}
	}
	return all
}
