package check

import (
	"fmt"
	"slices"
	"time"
)

// Class is a kind of violation.
type Class string

// The classes of violations.
const (
	Lost       Class = "lost"       // an acknowledged message is not in the log of its time
	Unplaced   Class = "unplaced"   // a message was acknowledged without a position
	Vanished   Class = "vanished"   // an entry left the log without a break
	NotDurable Class = "volatile"   // a promotion lost what was acknowledged as replicated
	Twice      Class = "twice"      // a key stands twice in one log or epoch
	Hole       Class = "hole"       // offsets jumped without a signal
	Replaced   Class = "replaced"   // an offset came again with another entry
	Forked     Class = "forked"     // an entry follows different ones
	Content    Class = "content"    // a message is not what was published
	Refused    Class = "refused"    // a resume or a stream was refused without a cause
	Resumed    Class = "resumed"    // a resume was honoured from elsewhere
	Epochs     Class = "epochs"     // more epochs than breaks explain
	Stranger   Class = "stranger"   // a publication in a room that was not joined, or a membership taken
	Behind     Class = "behind"     // a subscriber does not reach the top
	Unreadable Class = "unreadable" // readers see another log than there is
	Outage     Class = "outage"     // service is not back in time
)

// Violation is a breach of the contract.
type Violation struct {
	Class Class
	At    time.Duration
	Text  string
}

// String is one line.
func (v Violation) String() string {
	return fmt.Sprintf("%9.3fs %s: %s", v.At.Seconds(), v.Class, v.Text)
}

// Room says what a room promises.
type Room struct {
	Size       int  // of its history
	Replicated bool // acknowledged only once a replica has it
}

// Rules is what a run promises.
type Rules struct {
	Rooms map[string]Room
	// FarBehind is how many publications a resume must lack at least to be
	// refused as too far behind.
	FarBehind uint64
	// Settle is how long after a break epochs may still end by it: instances
	// that were stopped or cut off learn of it late.
	Settle time.Duration
	// Service is the time within which service must be back after a fault.
	Service  time.Duration
	Gateways int
}

// Counts tells what there was to judge, so that a run in which nothing happens
// is known as one.
type Counts struct {
	Acknowledged, Received, Repeats int
	Resumed                         int
	Refused, Gaps                   map[string]int // by reason
	Breaks, Epochs                  int            // an epoch of each room is not worth a word

	// Acknowledged messages that a break took away as it may: in epochs that
	// ended with it, and in epochs that went on because no instance that was
	// left knew of them.
	LostWithEpoch, LostUnnoticed int

	// Faults after which nothing else happened until service was back, and the
	// longest that it took.
	Recoveries, Superseded int
	Longest                time.Duration
	LongestAfter           string
}

// checker goes through one record.
type checker struct {
	rules Rules
	rec   Record
	Counts

	found []Violation

	messages map[string]*message // by key
	names    map[place]string    // the keys of entries
	chain    map[link]before     // what entries follow
	inEpoch  map[keyed]sighting  // where a key stands in an epoch
	epochs   map[string][]epoch  // by room, in the order in which they were seen
	streams  map[stream]*standing
	acks     []Event // with a position
	unplaced []Event // acknowledgements without
	forks    []fork

	// By gateway, in the order of time.
	received, acked map[int][]service
}

// Check judges a record. Violations are in the order of time.
func Check(rec Record, rules Rules) ([]Violation, Counts) {
	c := &checker{
		rules: rules, rec: rec,
		messages: map[string]*message{}, names: map[place]string{}, chain: map[link]before{}, inEpoch: map[keyed]sighting{},
		epochs: map[string][]epoch{}, streams: map[stream]*standing{},
		received: map[int][]service{}, acked: map[int][]service{},
	}
	c.Breaks, c.Refused, c.Gaps = len(rec.Breaks), map[string]int{}, map[string]int{}
	for i := range rec.Events {
		c.take(&rec.Events[i])
	}
	c.logs()
	c.readers()
	c.tops()
	c.judgeForks()
	c.recoveries()
	for _, list := range c.epochs {
		c.Epochs += len(list)
	}
	slices.SortStableFunc(c.found, func(a, b Violation) int { return int(a.At - b.At) })
	return c.found, c.Counts
}

func (c *checker) fail(class Class, at time.Duration, format string, args ...any) {
	c.found = append(c.found, Violation{class, at, fmt.Sprintf(format, args...)})
}

// take hands an event to whom it concerns.
func (c *checker) take(e *Event) {
	switch e.Kind {
	case Sent:
		c.messages[e.Key] = &message{room: e.Room, sum: e.Sum, sent: e.At}
	case Acknowledged:
		c.acknowledged(e)
	case Connected:
		for s, at := range c.streams {
			if s.who == e.Who {
				at.in = false
			}
		}
	case Joined:
		c.joined(e)
	case Received:
		c.publication(e)
	case Gap:
		c.gap(e)
	case Left:
		c.fail(Stranger, e.At, "%s was taken out of %s: %s", e.Who, e.Room, e.Reason)
	}
}
