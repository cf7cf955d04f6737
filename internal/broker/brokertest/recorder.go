package brokertest

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

var _ broker.Sink = (*Recorder)(nil)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// Recorder is a Sink that keeps what it is given and fails its test when two
// calls for one room overlap. Safe for concurrent use.
type Recorder struct {
	t *testing.T

	mu      sync.Mutex
	rooms   map[string]*record // guarded by mu
	changed chan struct{}      // guarded by mu; closed and replaced by each call
}

// record is what came for one room. Guarded by Recorder.mu.
type record struct {
	busy    bool
	calls   int
	events  []Event
	stalled chan struct{} // calls return once it is closed; nil: at once
}

// Event is a publication or a gap: the other is nil.
type Event struct {
	Pub *wire.Publication
	Gap *wire.Gap
}

// NewRecorder returns a Recorder that fails t.
func NewRecorder(t *testing.T) *Recorder {
	return &Recorder{t: t, rooms: make(map[string]*record), changed: make(chan struct{})}
}

// room is guarded by mu.
func (r *Recorder) room(name string) *record {
	if r.rooms[name] == nil {
		r.rooms[name] = &record{}
	}
	return r.rooms[name]
}

// Deliver implements broker.Sink.
func (r *Recorder) Deliver(room string, pubs []*wire.Publication) {
	if len(pubs) == 0 {
		r.t.Errorf("%s: a delivery of nothing", room)
	}
	events := make([]Event, 0, len(pubs))
	for _, p := range pubs {
		if p.Room != room {
			r.t.Errorf("%s: delivered a publication of %s", room, p.Room)
		}
		events = append(events, Event{Pub: p})
	}
	r.take(room, events)
}

// Gap implements broker.Sink.
func (r *Recorder) Gap(room string, gap wire.Gap) { r.take(room, []Event{{Gap: &gap}}) }

func (r *Recorder) take(room string, events []Event) {
	r.mu.Lock()
	rec := r.room(room)
	if rec.busy {
		r.t.Errorf("%s: two calls of the Sink at once", room)
	}
	rec.busy = true
	rec.calls++
	stalled := rec.stalled
	r.notify()
	r.mu.Unlock()
	if stalled != nil {
		<-stalled
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	rec.busy = false
	rec.events = append(rec.events, events...)
	r.notify()
}

// notify is guarded by mu.
func (r *Recorder) notify() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// Stall keeps the calls for a room from returning until go on is called. It
// can be called more than once, and is when the test ends.
func (r *Recorder) Stall(room string) (goOn func()) {
	stalled := make(chan struct{})
	r.mu.Lock()
	r.room(room).stalled = stalled
	r.mu.Unlock()
	goOn = sync.OnceFunc(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.room(room).stalled = nil
		close(stalled)
	})
	r.t.Cleanup(goOn)
	return goOn
}

// WaitCall waits until the Sink was called for a room at all.
func (r *Recorder) WaitCall(room string) {
	r.t.Helper()
	r.wait(func() bool { return r.room(room).calls > 0 })
}

// Wait waits for n events of a room and returns all it has.
func (r *Recorder) Wait(room string, n int) []Event {
	r.t.Helper()
	r.wait(func() bool { return len(r.room(room).events) >= n })
	return r.Events(room)
}

// Pubs is Wait for events that must all be publications.
func (r *Recorder) Pubs(room string, n int) []*wire.Publication {
	r.t.Helper()
	pubs := make([]*wire.Publication, 0, n)
	for _, e := range r.Wait(room, n) {
		if e.Gap != nil {
			r.t.Errorf("%s: gap %v", room, *e.Gap)
			continue
		}
		pubs = append(pubs, e.Pub)
	}
	return pubs
}

// Until waits until the latest event of a room is a publication of data, and
// returns all it has.
func (r *Recorder) Until(room, data string) []Event {
	r.t.Helper()
	r.wait(func() bool {
		events := r.room(room).events
		n := len(events)
		return n > 0 && events[n-1].Pub != nil && string(events[n-1].Pub.Data) == data
	})
	return r.Events(room)
}

// Events returns what came for a room so far.
func (r *Recorder) Events(room string) []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.room(room).events)
}

// wait fails the test when enough does not become true. It is called under mu.
func (r *Recorder) wait(enough func() bool) {
	r.t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		r.mu.Lock()
		ok, changed := enough(), r.changed
		r.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-late.C:
			r.t.Fatal("the Sink did not get what it should")
		}
	}
}
