package socketio

import (
	"context"
	"sync"
	"time"
)

// Record is what is written down of a session that can be recovered.
type Record struct {
	Key string // of the session; tells nothing of its pid
	// Owner is the connection that writes. A record is written by the owner that
	// has taken it, or by whom it began with.
	Owner string
	// Match is what who takes the record must present.
	Match string
	// State is nil to delete the record.
	State []byte
	// TTL is how long the record lasts unless it is written again, above 0.
	TTL time.Duration
}

// Store keeps records. Safe for concurrent use.
type Store interface {
	// Put writes records in the place of what their keys had. taken are the keys
	// that belong to other owners; these are left alone.
	Put(ctx context.Context, all []Record) (taken []string, err error)
	// Take takes a record's state out and makes owner its owner, so that nobody
	// takes it again and nobody else writes it. nil: there is none, or it does
	// not match and stays as it is.
	Take(ctx context.Context, key, match, owner string, ttl time.Duration) (state []byte, err error)
}

// memoryBytes bounds what a Memory keeps.
const memoryBytes = 64 << 20

// Memory is a Store in this process. Make it with NewMemory.
type Memory struct {
	mu    sync.Mutex
	kept  map[string]kept // guarded by mu
	bytes int             // guarded by mu: of it, about
	sweep time.Time       // guarded by mu: when the dead are looked for
}

type kept struct {
	Record
	until time.Time
}

// NewMemory makes an empty store.
func NewMemory() *Memory { return &Memory{kept: map[string]kept{}} }

var _ Store = (*Memory)(nil)

// Put implements Store. What does not fit is not kept.
func (m *Memory) Put(_ context.Context, all []Record) (taken []string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	m.sweepLocked(now)
	for _, r := range all {
		old, known := m.kept[r.Key]
		if known && old.Owner != r.Owner && old.until.After(now) {
			taken = append(taken, r.Key)
			continue
		}
		m.dropLocked(r.Key)
		if r.State != nil {
			m.keepLocked(kept{r, now.Add(r.TTL)})
		}
	}
	return taken, nil
}

// Take implements Store.
func (m *Memory) Take(_ context.Context, key, match, owner string, ttl time.Duration) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	old, known := m.kept[key]
	if !known || old.State == nil || old.Match != match || !old.until.After(now) {
		return nil, nil
	}
	m.dropLocked(key)
	m.keepLocked(kept{Record{Key: key, Owner: owner}, now.Add(ttl)})
	return old.State, nil
}

func (m *Memory) keepLocked(k kept) {
	if n := k.size(); m.bytes+n <= memoryBytes {
		m.bytes += n
		m.kept[k.Key] = k
	}
}

func (m *Memory) dropLocked(key string) {
	if old, known := m.kept[key]; known {
		m.bytes -= old.size()
		delete(m.kept, key)
	}
}

// sweepLocked drops what has lasted its time, every minute.
func (m *Memory) sweepLocked(now time.Time) {
	if now.Before(m.sweep) {
		return
	}
	m.sweep = now.Add(time.Minute)
	for key, k := range m.kept {
		if !k.until.After(now) {
			m.dropLocked(key)
		}
	}
}

// size is what a record costs, about.
func (k kept) size() int { return len(k.Key) + len(k.Owner) + len(k.Match) + len(k.State) + 200 }
