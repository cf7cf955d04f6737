package brokertest

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

const (
	heldMost  = 100 // publications held back for a joining reader
	inboxMost = 300 // publications that wait for a reader before it is cut
)

// hall is the Sink of a node in the concurrent tests: it seats readers, holds
// back what comes while they join, and cuts those that fall behind, as the
// gateway's hub does.
type hall struct {
	fail func(format string, args ...any)
	b    broker.Broker // set before the first reader comes
	mu   sync.Mutex
	desk map[string]*table // guarded by mu
}

// table is a room in a hall.
type table struct {
	busy atomic.Bool // a call of the Sink is under way
	gate sync.Mutex  // first and last reader: Subscribe and Unsubscribe
	mu   sync.Mutex  // before seat.mu
	seat map[*seat]struct{}
}

func (h *hall) table(room string) *table {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.desk == nil {
		h.desk = make(map[string]*table)
	}
	if h.desk[room] == nil {
		h.desk[room] = &table{seat: make(map[*seat]struct{})}
	}
	return h.desk[room]
}

// each calls f for every seat of a room, and fails if another call does.
func (h *hall) each(room string, f func(*seat)) {
	t := h.table(room)
	if t.busy.Swap(true) {
		h.fail("%s: two calls of the Sink at once", room)
	}
	t.mu.Lock()
	for s := range t.seat {
		f(s)
	}
	t.mu.Unlock()
	t.busy.Store(false)
}

// Deliver implements broker.Sink.
func (h *hall) Deliver(room string, pubs []*wire.Publication) {
	h.each(room, func(s *seat) { s.deliver(pubs) })
}

// Gap implements broker.Sink.
func (h *hall) Gap(room string, gap wire.Gap) {
	h.each(room, func(s *seat) { s.gap(gap) })
}

// sit takes a seat in a room; the first one subscribes.
func (h *hall) sit(ctx context.Context, room string) (*seat, error) {
	t := h.table(room)
	t.gate.Lock()
	defer t.gate.Unlock()
	s := &seat{joining: true, news: make(chan struct{}, 1)}
	t.mu.Lock()
	first := len(t.seat) == 0
	t.seat[s] = struct{}{}
	t.mu.Unlock()
	if first {
		return s, h.b.Subscribe(ctx, room)
	}
	return s, nil
}

// stand gives a seat up; the last one unsubscribes.
func (h *hall) stand(ctx context.Context, room string, s *seat) error {
	t := h.table(room)
	t.gate.Lock()
	defer t.gate.Unlock()
	t.mu.Lock()
	delete(t.seat, s)
	last := len(t.seat) == 0
	t.mu.Unlock()
	if last {
		return h.b.Unsubscribe(ctx, room)
	}
	return nil
}

// seat is a reader's place in a room.
type seat struct {
	news chan struct{} // has one element when there is something to take

	mu      sync.Mutex
	joining bool                // guarded by mu
	held    []*wire.Publication // guarded by mu
	restart bool                // guarded by mu: the log must be read again
	from    wire.Position       // guarded by mu: what the page held
	inbox   []Event             // guarded by mu
	cut     bool                // guarded by mu: the reader was too slow
}

func (s *seat) deliver(pubs []*wire.Publication) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.joining && len(s.held)+len(pubs) > heldMost:
		s.held, s.restart = nil, true
	case s.joining:
		s.held = append(s.held, pubs...)
	default:
		s.put(pubs)
	}
}

// put lets the reader have what is newer than its page. Guarded by mu.
func (s *seat) put(pubs []*wire.Publication) {
	for _, p := range pubs {
		if p.Position.Epoch == s.from.Epoch && p.Position.Offset > s.from.Offset {
			s.post(Event{Pub: p})
		}
	}
}

// post is guarded by mu.
func (s *seat) post(e Event) {
	if s.cut = s.cut || len(s.inbox) == inboxMost; !s.cut {
		s.inbox = append(s.inbox, e)
	}
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// gap ignores a hole that the page has behind it.
func (s *seat) gap(g wire.Gap) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.joining:
		s.held, s.restart = nil, true
	case g.Top.Epoch != s.from.Epoch || g.Top.Offset > s.from.Offset:
		s.from = g.Top
		s.post(Event{Gap: &g})
	}
}

// settle ends the joining of a reader whose page ends at top. False: read
// another page.
func (s *seat) settle(top wire.Position) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := s.held
	s.held = nil
	if s.restart {
		s.restart = false
		return false
	}
	s.joining, s.from = false, top
	s.put(held)
	return true
}

// take returns what waits for the reader, and whether it was cut after it.
func (s *seat) take() ([]Event, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	inbox := s.inbox
	s.inbox = nil
	return inbox, s.cut
}
