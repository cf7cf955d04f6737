package ws

import (
	"context"
	"sync"
	"sync/atomic"
)

// paceBytes is what may be queued and not attempted before Pace waits.
const paceBytes = 8 << 20

// pace lets those who fan out wait for the flushers.
type pace struct {
	waiting atomic.Int32

	mu    sync.Mutex
	freed chan struct{} // guarded by mu: closed and replaced when there is room
}

// Pace waits while more than 8 MiB are queued that no flusher has offered to a
// socket yet. What waits for a slow client was offered and does not count, so
// Pace never waits for one. A worker that fans out calls it after each batch.
// It returns ctx's error, or ErrClosed once Shutdown has begun.
func (s *Server) Pace(ctx context.Context) error {
	if s.pending() <= paceBytes {
		return nil
	}
	s.pace.waiting.Add(1)
	defer s.pace.waiting.Add(-1)
	for {
		s.pace.mu.Lock()
		freed := s.pace.freed
		s.pace.mu.Unlock()
		if s.pending() <= paceBytes {
			return nil
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.quit:
			return ErrClosed
		}
	}
}

// paced wakes those who wait, if half of the bound is free. Called whenever
// less is pending: settleLocked is the one place.
func (s *Server) paced() {
	if s.pace.waiting.Load() == 0 || s.pending() > paceBytes/2 {
		return
	}
	s.pace.mu.Lock()
	defer s.pace.mu.Unlock()
	close(s.pace.freed)
	s.pace.freed = make(chan struct{})
}

func (s *Server) pending() int64 {
	n := int64(0)
	for _, f := range s.flushers {
		n += f.pending.Load()
	}
	return n
}
