package streams

import (
	"sync"
	"time"
)

const (
	// maxUnderWay and maxBytes bound what was read and is not acknowledged.
	maxUnderWay = 1024
	maxBytes    = 16 << 20
)

// entry is an entry of the stream as it was read.
type entry struct {
	id         string
	fields     []string // names and values in turn; nil: it was deleted
	deliveries int      // before this one, as far as that is known
}

func (e *entry) size() int {
	n := len(e.id) + 64
	for _, s := range e.fields {
		n += len(s) + 16
	}
	return n
}

// job is an entry on its way. Immutable but for what says otherwise.
type job struct {
	id    string
	size  int
	begun time.Time // when it was read
	cmd   command
	fault error // why it cannot be executed, from reading it
	gone  bool  // there was nothing to read

	waits int // guarded by board.mu: lanes in which others are before it
}

// board knows the entries that are under way, and who comes next in each lane.
// Safe for concurrent use.
type board struct {
	freed chan struct{} // of capacity 1: something was acknowledged

	mu    sync.Mutex
	jobs  map[string]*job   // guarded by mu: read and not acknowledged, by id
	lanes map[string][]*job // guarded by mu: not executed, by target, in order
	bytes int               // guarded by mu: of jobs
}

func newBoard() *board {
	return &board{freed: make(chan struct{}, 1), jobs: map[string]*job{}, lanes: map[string][]*job{}}
}

// has tells whether an entry is under way.
func (b *board) has(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.jobs[id] != nil
}

// add puts a job behind those of its lanes, and tells whether it is its turn.
func (b *board) add(j *job) (now bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.jobs[j.id] = j
	b.bytes += j.size
	if j.fault != nil || j.gone {
		return true
	}
	for _, lane := range j.cmd.lanes() {
		if len(b.lanes[lane]) > 0 {
			j.waits++
		}
		b.lanes[lane] = append(b.lanes[lane], j)
	}
	return j.waits == 0
}

// executed takes a job out of its lanes and returns those whose turn it is.
func (b *board) executed(j *job) (next []*job) {
	if j.fault != nil || j.gone {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, lane := range j.cmd.lanes() {
		rest := b.lanes[lane][1:]
		if len(rest) == 0 {
			delete(b.lanes, lane)
			continue
		}
		b.lanes[lane] = rest
		if rest[0].waits--; rest[0].waits == 0 {
			next = append(next, rest[0])
		}
	}
	return next
}

// settled forgets entries that were acknowledged.
func (b *board) settled(ids ...string) {
	b.mu.Lock()
	for _, id := range ids {
		if j := b.jobs[id]; j != nil {
			b.bytes -= j.size
			delete(b.jobs, id)
		}
	}
	b.mu.Unlock()
	select {
	case b.freed <- struct{}{}:
	default:
	}
}

// room is how many entries more may be under way.
func (b *board) room() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bytes >= maxBytes {
		return 0
	}
	return maxUnderWay - len(b.jobs)
}

// underWay is how many entries are.
func (b *board) underWay() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.jobs)
}

// left are the ids of the entries that are under way.
func (b *board) left() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]string, 0, len(b.jobs))
	for id := range b.jobs {
		out = append(out, id)
	}
	return out
}
