package socketio

import (
	"context"
	"crypto/rand"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

const (
	// checkpointEvery is how often positions are looked at.
	checkpointEvery = 5 * time.Second
	// gatherTime is how long changes are gathered after others were written.
	gatherTime = 20 * time.Millisecond
	// storeBatch bounds the records of one write.
	storeBatch = 256
	// storeTime bounds one write, and what is written at shutdown.
	storeTime = 2 * time.Second
	// maxUnwritten is how many sessions may wait to be written for one that has
	// ended to wait, too.
	maxUnwritten = 200_000
)

// recovery keeps account of sessions that can be recovered. Its goroutine is
// the server's.
type recovery struct {
	// Immutable.
	store  Store
	places func(connection string, f func(wire.Place))
	window time.Duration // for which a session can be recovered
	log    *zap.Logger
	wake   chan struct{} // something is to be written

	mu     sync.Mutex
	tracks map[string]*track // guarded by mu: by key
	queue  []*track          // guarded by mu: to be written

	away      bool // owned by run: the store did not answer last
	recovered atomic.Int64
}

// refresh is how often a record is written that does not change.
func (r *recovery) refresh() time.Duration { return min(r.window/2, time.Minute) }

// newTrack begins the account of a socket's session.
func (r *recovery) newTrack(s *socket, sid, pid, owner string, id *auth.Identity) *track {
	return &track{
		recovery: r, socket: s, sid: sid, pid: pid, key: keyOf(pid), owner: owner, identity: id,
		over: make(chan struct{}), rooms: map[string]*mark{},
	}
}

func newOwner() string { return rand.Text() }

// add has a session written down from now on.
func (r *recovery) add(t *track) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tracks[t.key] = t
	r.queueLocked(t)
}

// queueLocked has a session written soon, if it is kept account of.
func (r *recovery) queueLocked(t *track) {
	if t.queued || r.tracks[t.key] != t {
		return
	}
	if t.closed && len(r.queue) >= maxUnwritten {
		delete(r.tracks, t.key)
		return
	}
	t.queued = true
	r.queue = append(r.queue, t)
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// run writes until ctx ends, and then what is left.
func (r *recovery) run(ctx context.Context) {
	ticker := time.NewTicker(checkpointEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.Background(), storeTime)
			defer cancel()
			r.flush(last) //nolint:contextcheck // ctx has ended
			return
		case <-r.wake:
			if r.away {
				continue // until the next look
			}
			r.flush(ctx)
			pause(ctx, gatherTime)
		case <-ticker.C:
			for _, t := range r.all() {
				t.checkpoint()
			}
		}
		r.flush(ctx)
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func (r *recovery) all() []*track {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]*track, 0, len(r.tracks))
	for _, t := range r.tracks {
		out = append(out, t)
	}
	return out
}

// flush writes what is queued. After an error the rest waits for the next time.
func (r *recovery) flush(ctx context.Context) {
	for {
		batch := r.next()
		if len(batch) == 0 {
			return
		}
		err := r.write(ctx, batch)
		if ctx.Err() == nil && r.away != (err != nil) {
			r.away = err != nil
			if r.away {
				r.log.Warn("Socket.IO sessions cannot be written down: they are not recovered elsewhere", zap.Error(err))
			} else {
				r.log.Info("Socket.IO sessions are written down again")
			}
		}
		if err != nil {
			r.again(batch)
			return
		}
	}
}

// next takes a batch out of the queue. What is in it without being kept account
// of any more was taken up: it is another's to write.
func (r *recovery) next() []*track {
	r.mu.Lock()
	defer r.mu.Unlock()
	var batch []*track
	n := 0
	for ; n < len(r.queue) && len(batch) < storeBatch; n++ {
		t := r.queue[n]
		r.queue[n] = nil
		t.queued = false
		if r.tracks[t.key] == t {
			batch = append(batch, t)
		}
	}
	if r.queue = r.queue[n:]; len(r.queue) == 0 {
		r.queue = nil
	}
	return batch
}

// again queues what could not be written.
func (r *recovery) again(batch []*track) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range batch {
		r.queueLocked(t)
	}
}

// write writes sessions down, and forgets those that have ended.
func (r *recovery) write(ctx context.Context, batch []*track) error {
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	records := make([]Record, len(batch))
	began := time.Now()
	for i, t := range batch {
		records[i] = t.record()
	}
	taken, err := r.store.Put(ctx, records)
	if err != nil {
		return err
	}
	r.wrote(batch, began)
	for _, t := range batch {
		if slices.Contains(taken, t.key) {
			r.lose(t)
		}
	}
	return nil
}

// wrote notes that sessions are written down, and forgets those that have ended.
// One that has not been told of its end stays: it is in the way of who takes it
// up, see release.
func (r *recovery) wrote(batch []*track, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range batch {
		t.written = at
		if t.closed && t.finished && !t.queued && r.tracks[t.key] == t {
			delete(r.tracks, t.key)
		}
	}
}

// lose ends a connection whose session goes on on another.
func (r *recovery) lose(t *track) {
	r.mu.Lock()
	if r.tracks[t.key] == t {
		delete(r.tracks, t.key)
	}
	r.mu.Unlock()
	t.socket.conn.engine.Abort()
}

// release ends the session's connection on this instance, if it is there, and
// writes down what it was in. The pid proves that it is the client's own.
func (r *recovery) release(ctx context.Context, key, match string) error {
	r.mu.Lock()
	t := r.tracks[key]
	r.mu.Unlock()
	if t == nil || matchOf(t.socket.codec.Namespace(), t.who()) != match {
		return nil
	}
	t.socket.conn.engine.Abort()
	select {
	case <-t.over:
	case <-ctx.Done():
		return ctx.Err()
	}
	return r.write(ctx, []*track{t})
}
