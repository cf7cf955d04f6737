package brokertest

import "sync"

// lounge is a room with who reads it.
type lounge struct {
	facts   ledger
	room    string
	readers []*reader // immutable

	mu   sync.Mutex
	cond sync.Cond // the top or a reader has moved
	top  uint64    // guarded by mu: the highest offset acknowledged
	said uint64    // guarded by mu: publications acknowledged
	free bool      // guarded by mu: nobody waits any more
}

// moved says that a reader has.
func (l *lounge) moved() {
	l.mu.Lock()
	l.cond.Broadcast()
	l.mu.Unlock()
}

// rise says that a publication was acknowledged.
func (l *lounge) rise(offset uint64) {
	l.mu.Lock()
	l.top = max(l.top, offset)
	l.said++
	l.mu.Unlock()
	l.cond.Broadcast()
}

// open lets everybody go who waits, now or later.
func (l *lounge) open() {
	l.mu.Lock()
	l.free = true
	l.mu.Unlock()
	l.cond.Broadcast()
}

// stayAway waits until the room is so much further than an offset, or, as
// offsets begin anew with an epoch, that much was said.
func (l *lounge) stayAway(offset, further uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for until := l.said + further; l.top < offset+further && l.said < until && !l.free; {
		l.cond.Wait()
	}
}

// waitFor waits until no reader is more than backlog behind.
func (l *lounge) waitFor(backlog uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.free && l.slowest()+backlog < l.top {
		l.cond.Wait()
	}
}

func (l *lounge) slowest() uint64 {
	least := l.readers[0].offset.Load()
	for _, r := range l.readers {
		least = min(least, r.offset.Load())
	}
	return least
}
