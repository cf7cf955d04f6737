package check

import (
	"slices"
	"sync"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Kind is what an Event tells.
type Kind uint8

// The kinds of events. What each sets, besides At and Who, stands behind it.
const (
	Sent         Kind = iota // a publisher made a message: Room, Key, Sum
	Acknowledged             // a publish was acknowledged: Room, Key, Pos, Gateway, From
	Failed                   // an attempt was not: Room, Key, Reason, Gateway, From
	Connected                // a subscriber opened a connection, and is in no room: Gateway
	Joined                   // room_joined: Room, Pos, Since, Recovered, Reason, Gateway
	Received                 // a publication arrived: Room, Key, Sum, Pos, Gateway
	Gap                      // Room, Pos, Offset (the gap's from), Reason, Gateway
	Left                     // room_left that was not asked for: Room, Reason, Gateway
	Ended                    // a connection ended: Reason
)

// Event is one thing that a publisher or a subscriber saw.
type Event struct {
	At   time.Duration // since the history began
	From time.Duration // of an attempt: when it began
	Kind Kind
	Who  string

	Gateway   int
	Room      string
	Key       string
	Sum       uint64 // of the content
	Pos       wire.Position
	Since     wire.Position // Joined: what was asked for
	Offset    uint64
	Reason    string
	Recovered bool
}

// Fault is one deed of the nemesis.
type Fault struct {
	Name    string
	Gateway int // whose service it takes away; All: everybody's
	Start   time.Duration
	End     time.Duration // when what it did was undone
}

// All is the Gateway of a fault that touches every one of them.
const All = -1

// Entry is a place in a room's log.
type Entry struct{ Offset, Nonce uint64 }

// Log is what stands in a room's log at some moment, oldest first.
type Log struct {
	Epoch   uint64
	Entries []Entry
}

// Logs are those of all rooms.
type Logs map[string]Log

// Cause is why a log ended.
type Cause string

// The causes of breaks.
const (
	Flush     Cause = "flush"     // everything is gone
	Promotion Cause = "promotion" // what the promoted replica did not have is gone
)

// Break is the end of a log, recorded by the nemesis. Until Start everybody
// wrote to the old log, from End on to the new one, and in between to either.
type Break struct {
	Cause      Cause
	Start, End time.Duration
	Before     Logs // the old log when nobody wrote to it any more
	After      Logs // what the new one began with
}

// Stored is a publication as the log's readers see it.
type Stored struct {
	Pos wire.Position
	Key string
	Sum uint64
}

// History is what happened, in the order in which it was added. Nothing in it
// ever changes. Safe for concurrent use.
type History struct {
	begun time.Time

	mu     sync.Mutex
	events []Event // guarded by mu
	faults []Fault // guarded by mu
	breaks []Break // guarded by mu
}

// NewHistory begins a history.
func NewHistory() *History { return &History{begun: time.Now()} }

// Now is the time since the history began.
func (h *History) Now() time.Duration { return time.Since(h.begun) }

// Add appends an event and sets its time.
func (h *History) Add(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e.At = h.Now()
	h.events = append(h.events, e)
}

// AddFault appends a fault that is over.
func (h *History) AddFault(f Fault) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.faults = append(h.faults, f)
}

// AddBreak appends a break that is over.
func (h *History) AddBreak(b Break) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.breaks = append(h.breaks, b)
}

// Record is a history up to a moment, and what was found in the logs then.
type Record struct {
	Events []Event
	Faults []Fault
	Breaks []Break

	Final  Logs                // the logs now, nobody writing
	Stored map[string][]Stored // what readers see of them
	Joined map[string][]string // by subscriber: the rooms whose top it must have reached
}

// Record is the history up to now.
func (h *History) Record() Record {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := Record{Events: slices.Clone(h.events), Faults: slices.Clone(h.faults), Breaks: slices.Clone(h.breaks)}
	slices.SortStableFunc(r.Breaks, func(a, b Break) int { return int(a.Start - b.Start) })
	return r
}
