package bridge

import (
	"context"
	"crypto/rand"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// The kinds of events that webhooks tell of.
const (
	KindConnect      = "connect"
	KindDisconnect   = "disconnect"
	KindRoomOccupied = "room_occupied"
	KindRoomVacated  = "room_vacated"
)

// Kinds lists the kinds of events.
func Kinds() []string {
	return []string{KindConnect, KindDisconnect, KindRoomOccupied, KindRoomVacated}
}

// Webhooks tells a backend of connections and rooms. Make it with NewWebhooks.
// Safe for concurrent use.
type Webhooks struct {
	// Immutable after NewWebhooks.
	cfg    Config
	client *Client
	log    *zap.Logger
	run    string // random: begins the id of every event
	wants  map[string]bool
	ctx    context.Context // ends when Shutdown has no more time
	cancel context.CancelFunc
	quit   chan struct{} // closed by Shutdown
	wake   chan struct{} // holds a token when there may be something to send
	sender sync.WaitGroup

	mu       sync.Mutex
	closed   bool         // guarded by mu
	waiting  [][]byte     // guarded by mu: a ring of encoded events
	first    int          // guarded by mu: the oldest
	count    int          // guarded by mu
	numbered uint64       // guarded by mu: the last event's number
	lost     int64        // guarded by mu: dropped, and the receiver not told yet
	totals   WebhookStats // guarded by mu; Queued is not kept
	fault    error        // guarded by mu: of the last request
}

var (
	_ router.Watcher = (*Webhooks)(nil)
	_ hub.Watcher    = (*Webhooks)(nil)
)

// NewWebhooks makes Webhooks; without a URL it does nothing.
func NewWebhooks(cfg Config, client *Client, log *zap.Logger) *Webhooks {
	w := &Webhooks{
		cfg: cfg, client: client, log: log, run: rand.Text()[:12], wants: map[string]bool{},
		quit: make(chan struct{}), wake: make(chan struct{}, 1),
	}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	if cfg.WebhookURL != "" {
		w.waiting = make([][]byte, cfg.WebhookQueue)
		for _, kind := range cfg.WebhookEvents {
			w.wants[kind] = true
		}
	}
	return w
}

// Enabled tells whether anybody is told of anything.
func (w *Webhooks) Enabled() bool { return len(w.wants) > 0 }

// Start begins to send. Call it once.
func (w *Webhooks) Start() {
	if w.Enabled() {
		w.sender.Go(w.send)
	}
}

// Shutdown sends what is queued, until ctx ends, and returns ctx's error if
// something was left and dropped. What happens from now on is dropped.
func (w *Webhooks) Shutdown(ctx context.Context) error {
	w.mu.Lock()
	w.closed = true
	before := w.totals.Dropped
	w.mu.Unlock()
	close(w.quit)
	stop := context.AfterFunc(ctx, w.cancel)
	w.sender.Wait()
	stop()
	w.cancel()
	if left := w.dropRest() - before; left > 0 {
		w.log.Warn("webhooks: events were not delivered", zap.Int64("events", left))
		return ctx.Err()
	}
	return nil
}

// Connected implements router.Watcher.
func (w *Webhooks) Connected(connection string, id *auth.Identity) {
	if w.wants[KindConnect] {
		w.add(KindConnect, person(connection, id))
	}
}

// Disconnected implements router.Watcher.
func (w *Webhooks) Disconnected(connection string, id *auth.Identity, c wire.Close) {
	if w.wants[KindDisconnect] {
		b := append(person(connection, id), `,"code":`...)
		b = strconv.AppendUint(b, uint64(c.Code), 10)
		w.add(KindDisconnect, field(b, ',', "why", c.Code.String()))
	}
}

// Occupied implements hub.Watcher.
func (w *Webhooks) Occupied(room string) {
	if w.wants[KindRoomOccupied] {
		w.add(KindRoomOccupied, field(nil, ',', "room", room))
	}
}

// Vacated implements hub.Watcher.
func (w *Webhooks) Vacated(room string) {
	if w.wants[KindRoomVacated] {
		w.add(KindRoomVacated, field(nil, ',', "room", room))
	}
}

// person is who a connection speaks for.
func person(connection string, id *auth.Identity) []byte {
	b := field(nil, ',', "connection", connection)
	b = field(b, ',', "user", id.UserID)
	return raw(b, "guest", truth(id.Guest))
}

// add queues an event. When the queue is full the oldest event gives way: of
// what happened to a room or a connection the last word counts most.
func (w *Webhooks) add(kind string, rest []byte) {
	now := time.Now().UnixMilli()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.numbered++
	if w.closed {
		w.dropLocked(1)
		return
	}
	b := make([]byte, 0, len(rest)+96)
	b = field(b, '{', "id", w.run+"-"+strconv.FormatUint(w.numbered, 10))
	b = field(b, ',', "type", kind)
	b = append(b, `,"time":`...)
	b = strconv.AppendInt(b, now, 10)
	b = append(append(b, rest...), '}')
	if w.count == len(w.waiting) {
		w.takeLocked()
		w.dropLocked(1)
	}
	w.waiting[(w.first+w.count)%len(w.waiting)] = b
	w.count++
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// takeLocked takes the oldest event. Guarded by mu.
func (w *Webhooks) takeLocked() []byte {
	b := w.waiting[w.first]
	w.waiting[w.first] = nil
	w.first = (w.first + 1) % len(w.waiting)
	w.count--
	return b
}

func (w *Webhooks) dropLocked(n int64) {
	w.lost += n
	w.totals.Dropped += n
}

// dropRest drops what nobody will send, and returns how many were dropped
// since the start.
func (w *Webhooks) dropRest() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dropLocked(int64(w.count))
	for w.count > 0 {
		w.takeLocked()
	}
	return w.totals.Dropped
}

// Stats returns the counters.
func (w *Webhooks) Stats() WebhookStats {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.totals
	out.Queued = int64(w.count)
	return out
}
