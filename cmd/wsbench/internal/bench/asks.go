//go:build linux

package bench

// asks follows the requests of one connection, which must be answered once and
// in their order. The id of a request is the time it was meant for, from a base
// that the caller knows, so that an answer tells its own latency.
type asks struct {
	sent, answered uint64
	last, reply    uint64 // highest id sent, and answered
	ids            uint64 // exclusive or of the ids not answered: 0 when all were, each once
}

// next makes the id of a request that is meant for the given nanoseconds after
// the base.
func (a *asks) next(after int64) uint64 {
	a.last = max(uint64(max(after, 1)), a.last+1)
	a.ids ^= a.last
	a.sent++
	return a.last
}

// answer takes the id of an answer and reports whether it could come.
func (a *asks) answer(id uint64) bool {
	if id <= a.reply || id > a.last || a.answered == a.sent {
		return false
	}
	a.reply, a.ids = id, a.ids^id
	a.answered++
	return true
}

// open is how many requests have no answer yet.
func (a *asks) open() uint64 { return a.sent - a.answered }

// wrong is how many requests have no answer, or another one's.
func (a *asks) wrong() uint64 {
	if n := a.open(); n > 0 || a.ids == 0 {
		return n
	}
	return 1
}
