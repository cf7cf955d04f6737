package peer

import (
	"sync"
	"time"
)

const (
	// maxSkew is how far the clocks of two instances may be apart, the way of a
	// request included.
	maxSkew = 30 * time.Second
	// windowSize is how many later numbers of the same instance may come before
	// one.
	windowSize = 1 << 16
	// maxSenders bounds the instances whose numbers are remembered, at 8 KiB
	// each.
	maxSenders = 1024
)

// window remembers which numbers of one instance were used, as IPsec does
// (RFC 4303 section 3.4.3): all that are windowSize behind the highest count as
// used.
type window struct {
	top  uint64 // the highest; 0: none
	used [windowSize / 64]uint64
	last time.Time // when one was last used
}

// take uses a number; false if it was used.
func (w *window) take(n uint64) bool {
	switch {
	case n == 0:
		return false
	case n > w.top:
		w.advance(n)
	case w.top-n >= windowSize:
		return false
	}
	word, bit := n%windowSize/64, uint64(1)<<(n%64)
	if w.used[word]&bit != 0 {
		return false
	}
	w.used[word] |= bit
	return true
}

// advance makes n the highest, and forgets what falls out.
func (w *window) advance(n uint64) {
	if n-w.top >= windowSize {
		w.used = [windowSize / 64]uint64{}
	} else {
		for i := range n - w.top {
			between := n - i
			w.used[between%windowSize/64] &^= 1 << (between % 64)
		}
	}
	w.top = n
}

// windows remember the numbers of all instances. An incarnation never uses a
// number twice, and what was signed for another incarnation of the receiver is
// not taken at all; so a number need be remembered only for as long as its
// ticket is new. The zero value is ready. Safe for concurrent use.
type windows struct {
	mu     sync.Mutex
	byName map[string]*window // guarded by mu
}

// take uses a number of an instance, whose ticket is new at now; false if it was
// used, or if there are too many instances.
func (w *windows) take(from string, n uint64, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	one := w.byName[from]
	if one == nil {
		if one = w.addLocked(from, now); one == nil {
			return false
		}
	}
	one.last = now
	return one.take(n)
}

// addLocked makes room for another instance, and lets those go whose tickets are
// all old by now.
func (w *windows) addLocked(from string, now time.Time) *window {
	for name, one := range w.byName {
		if now.Sub(one.last) > 2*maxSkew {
			delete(w.byName, name)
		}
	}
	if len(w.byName) >= maxSenders {
		return nil
	}
	if w.byName == nil {
		w.byName = map[string]*window{}
	}
	one := &window{}
	w.byName[from] = one
	return one
}
