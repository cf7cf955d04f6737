package traffic

import (
	"fmt"
	"sync"
)

// room is what is known of one room: which message has which offset. Everybody
// who publishes or receives adds to it, and must agree.
type room struct {
	name string // immutable

	mu   sync.Mutex
	keys map[uint64]string // guarded by mu; by offset
	acks []ack             // guarded by mu
	last uint64            // guarded by mu; the highest offset that was acknowledged
}

// ack is an acknowledgement.
type ack struct {
	key    string
	offset uint64
}

// received adds what a client has got; an error tells of a message that stands
// where another one was.
func (r *room) received(offset uint64, key string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.place(offset, key)
}

// acknowledged adds what a publisher was told.
func (r *room) acknowledged(offset uint64, key string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.acks = append(r.acks, ack{key, offset})
	r.last = max(r.last, offset)
	return r.place(offset, key)
}

// place needs mu.
func (r *room) place(offset uint64, key string) error {
	if have, known := r.keys[offset]; known && have != key {
		return fmt.Errorf("%s has %s at %d, where %s was", r.name, key, offset, have)
	}
	r.keys[offset] = key
	return nil
}

func (r *room) top() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// missing tells of messages that stand at two offsets. That every client has
// got all up to the last acknowledged one, each offset in its turn and with the
// same message, is checked as they come.
func (r *room) missing() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	at := map[string]uint64{}
	for offset, key := range r.keys {
		if other, twice := at[key]; twice {
			out = append(out, fmt.Sprintf("%s has %s at %d and at %d", r.name, key, other, offset))
		}
		at[key] = offset
	}
	for _, a := range r.acks {
		if at[a.key] != a.offset {
			out = append(out, fmt.Sprintf("%s: %s was acknowledged at %d and stands at %d", r.name, a.key, a.offset, at[a.key]))
		}
	}
	return out
}
