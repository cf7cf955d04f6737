package emitter

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/redisconn"
)

const (
	// maxWaiting and maxWaitingBytes bound the messages that wait to be carried
	// out.
	maxWaiting      = 4096
	maxWaitingBytes = 16 << 20
	// requestTime bounds the work on one request.
	requestTime = 10 * time.Second
	// saidEvery is how often the log is told of faults of one kind.
	saidEvery = time.Minute
)

// errConnecting is the fault before the first connection.
var errConnecting = errors.New("not connected yet")

// Parts are what a Listener works with. It owns none of them.
type Parts struct {
	Redis *redisconn.Manager
	Local Local
	Log   *zap.Logger
}

// Listener listens to what emitters publish. Make it with New. Safe for
// concurrent use.
type Listener struct {
	// Immutable after New.
	cfg      Config
	parts    Parts
	channels *channels
	silence  time.Duration // after which a connection is taken for lost
	ctx      context.Context
	cancel   context.CancelFunc

	waiting      chan arrival // to be carried out
	waitingBytes atomic.Int64 // of their payloads
	running      sync.WaitGroup
	stats        counters
	fresh        bool      // owned by receive: this connection's subscriptions are live
	away         time.Time // owned by receive: since when there is no connection; zero with one
	said         time.Time // owned by work: when the log was last told of a bad message

	mu      sync.Mutex
	started bool  // guarded by mu
	closed  bool  // guarded by mu
	fault   error // guarded by mu: why there is no connection
}

// New makes a Listener. With the key Off it does nothing.
func New(cfg Config, parts Parts) *Listener {
	l := &Listener{
		cfg: cfg, parts: parts, channels: newChannels(cfg), silence: silentMost,
		waiting: make(chan arrival, maxWaiting), fault: errConnecting,
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

// Enabled tells whether anything is listened to.
func (l *Listener) Enabled() bool { return l.cfg.Enabled() }

// Start begins to connect and to listen. It does not wait for Redis.
func (l *Listener) Start() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.Enabled() || l.started || l.closed {
		return
	}
	l.started = true
	l.running.Go(l.receive)
	l.running.Go(l.work)
}

// Shutdown ends what Start began and waits for it. What waits to be carried out
// is dropped. Calls after the first wait too.
func (l *Listener) Shutdown() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.cancel()
	l.running.Wait()
}

// Run starts, and shuts down when ctx has ended.
func (l *Listener) Run(ctx context.Context) {
	l.Start()
	<-ctx.Done()
	l.Shutdown()
}

// Err is why nothing is received, nil while all subscriptions are live, or when
// nothing is to be listened to.
func (l *Listener) Err() error {
	if !l.Enabled() {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fault
}

func (l *Listener) note(fault error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault = fault
}

// take puts a message behind those that wait, or drops it: who receives must
// not wait, or Redis would cut the connection.
func (l *Listener) take(a arrival) {
	l.stats.received.Add(1)
	n := int64(len(a.payload))
	if l.waitingBytes.Add(n) <= maxWaitingBytes {
		select {
		case l.waiting <- a:
			return
		default:
		}
	}
	l.waitingBytes.Add(-n)
	l.stats.dropped.Add(1)
}

// work carries out what came until Shutdown.
func (l *Listener) work() {
	for {
		select {
		case <-l.ctx.Done():
			return
		case a := <-l.waiting:
			l.waitingBytes.Add(-int64(len(a.payload)))
			l.carryOut(a)
		}
	}
}
