package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/broker"
)

// fleetRoom is the room in which all instances are told. That of one instance
// is "!" and its incarnation. No client can name either.
const fleetRoom = "!fleet"

func roomOf(incarnation string) string { return "!" + incarnation }

const (
	// answerTime is how long Ask waits for the instances.
	answerTime = 700 * time.Millisecond
	// repeatTime is when it asks those again that have not answered.
	repeatTime = 300 * time.Millisecond
	// handleTime bounds the work on one question.
	handleTime = 5 * time.Second
	// workers is how many questions are worked on at once.
	workers = 16
	// maxWaiting bounds the messages that wait to be read, and the questions
	// that wait for a worker.
	maxWaiting = 4096
	// maxAsks bounds the questions of this instance that wait for answers.
	maxAsks = 4096
	// maxPayload bounds a question and an answer, in bytes.
	maxPayload = 1 << 20
)

// Carrier spreads what instances tell each other: the broker that they share.
type Carrier interface {
	// Notify hands payload to everybody who has subscribed to the room, at
	// most once.
	Notify(ctx context.Context, room string, payload []byte) error
	// Subscribe returns once notices of the room reach the Bus.
	Subscribe(ctx context.Context, room string) error
}

// Handler answers a question of another instance, within 5 s of ctx. It may be
// called for several at once, once for each question.
type Handler func(ctx context.Context, payload []byte) []byte

// Bus asks all other instances something. Make it with NewBus; Start begins,
// Shutdown ends. Safe for concurrent use.
type Bus struct {
	// Immutable after New.
	registry *Registry
	carrier  Carrier // nil: there are no others
	log      *zap.Logger

	handlers map[string]Handler // immutable after Start

	inbox chan []byte   // what came, to be read
	work  chan envelope // questions for the workers
	seen  *window
	stats busCounters

	mu   sync.Mutex
	asks map[uint64]chan envelope // guarded by mu: answers to what was asked here
	next uint64                   // guarded by mu
	stop context.CancelFunc       // guarded by mu; nil before Start

	running sync.WaitGroup
}

var _ broker.Noticed = (*Bus)(nil)

// NewBus makes the bus of an instance. A nil carrier means that there are no
// others: nobody is asked. Call it before the registry's Start.
func NewBus(r *Registry, c Carrier, log *zap.Logger) *Bus {
	b := &Bus{
		registry: r, carrier: c, log: log, handlers: map[string]Handler{},
		inbox: make(chan []byte, maxWaiting), work: make(chan envelope, maxWaiting),
		seen: newWindow(), asks: map[uint64]chan envelope{},
	}
	r.onAnnounce(func(ctx context.Context) {
		// Others look at once, else with their next heartbeat.
		if err := b.Tell(ctx, kindBeat, nil); err != nil && ctx.Err() == nil {
			log.Debug("cluster: tell of a new state", zap.Error(err))
		}
	})
	b.Handle(kindBeat, func(context.Context, []byte) []byte { r.Beat(); return nil })
	return b
}

// kindBeat asks the others to look at the registry.
const kindBeat = "cluster.beat"

// Handle has questions of a kind answered by h. Call it before Start.
func (b *Bus) Handle(kind string, h Handler) { b.handlers[kind] = h }

// Start begins to listen. It does not wait for the carrier.
func (b *Bus) Start() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stop != nil || b.carrier == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	b.stop = cancel
	for _, room := range []string{fleetRoom, roomOf(b.registry.incarnation)} {
		b.running.Go(func() { b.listen(ctx, room) })
	}
	b.running.Go(func() { b.readUntil(ctx) })
	for range workers {
		b.running.Go(func() { b.workUntil(ctx) })
	}
}

// Shutdown ends what Start began. Questions under way are given up.
func (b *Bus) Shutdown() {
	b.mu.Lock()
	stop := b.stop
	b.mu.Unlock()
	if stop != nil {
		stop()
	}
	b.running.Wait()
}

// listen subscribes to a room, for as long as it takes.
func (b *Bus) listen(ctx context.Context, room string) {
	const least, most = 100 * time.Millisecond, 2 * time.Second
	for pause := least; ctx.Err() == nil; pause = min(2*pause, most) {
		err := b.carrier.Subscribe(ctx, room)
		if err == nil {
			return
		}
		if pause == least && ctx.Err() == nil {
			b.log.Warn("cluster: listen to the other instances", zap.Error(err))
		}
		sleep(ctx, jitter(pause))
	}
}

// Notice implements broker.Noticed: it takes what came in the fleet's rooms.
// When too much waits to be read it is dropped and counted; who asked, asks
// again.
func (b *Bus) Notice(_ string, payload []byte) {
	select {
	case b.inbox <- payload:
	default:
		b.stats.dropped.Add(1)
	}
}

// readUntil reads what comes until ctx ends.
func (b *Bus) readUntil(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case payload := <-b.inbox:
			b.read(payload)
		}
	}
}

// read takes one message: an answer goes to who waits for it, a question to
// the workers.
func (b *Bus) read(payload []byte) {
	var e envelope
	if err := json.Unmarshal(payload, &e); err != nil || e.From == "" {
		b.stats.unreadable.Add(1)
		return
	}
	switch {
	case e.From == b.registry.incarnation: // what we told everybody
	case e.Type == typeAnswer:
		b.answered(e)
	case e.Type == typeAsk || e.Type == typeTell:
		select {
		case b.work <- e:
		default:
			b.stats.dropped.Add(1)
		}
	default:
		b.stats.unreadable.Add(1)
	}
}

// workUntil answers questions until ctx ends.
func (b *Bus) workUntil(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-b.work:
			b.serve(ctx, e)
		}
	}
}

// serve answers one question, once: a repeat gets the answer that the first
// got, when it is there.
func (b *Bus) serve(ctx context.Context, e envelope) {
	ctx, cancel := context.WithTimeout(ctx, handleTime)
	defer cancel()
	if e.Type == typeTell {
		b.handle(ctx, e)
		return
	}
	key := question{e.From, e.ID}
	answer, first := b.seen.enter(key)
	if first {
		answer = b.handle(ctx, e)
		b.seen.keep(key, answer)
	}
	if answer == nil {
		return // the first is still being worked on
	}
	if err := b.carrier.Notify(ctx, roomOf(e.From), answer); err != nil && ctx.Err() == nil {
		b.log.Debug("cluster: answer an instance", zap.Error(err))
	}
}

// handle has a question answered and returns the message to send back.
func (b *Bus) handle(ctx context.Context, e envelope) []byte {
	b.stats.handled.Add(1)
	out := envelope{Version: envelopeVersion, Type: typeAnswer, ID: e.ID, From: b.registry.incarnation, Name: b.registry.cfg.ID}
	h := b.handlers[e.Kind]
	switch {
	case h == nil || e.Version != envelopeVersion:
		out.Fault = faultUnknown
	default:
		if out.Data = h(ctx, e.Data); len(out.Data) > maxPayload {
			out.Data, out.Fault = nil, faultTooLarge
		}
	}
	return out.encode()
}

// The errors of a Reply.
var (
	// ErrUnknownKind says that an instance, of another version, does not know
	// what it was asked.
	ErrUnknownKind = errors.New("cluster: the instance does not know this kind of question")
	// ErrTooLarge says that an instance's answer was too large to be sent.
	ErrTooLarge = errors.New("cluster: the instance's answer is too large")
)
