package cluster

import (
	"crypto/rand"
	"slices"
	"strings"
	"time"
)

// State says what an instance takes.
type State string

// The states of an instance.
const (
	Ready    State = "ready"
	Full     State = "full"     // over its capacity or its memory budget: no new connections
	Draining State = "draining" // lets its connections go
	// left is what an instance says last: it is in nobody's view.
	left State = "left"
)

// Instance is one gateway process as the fleet knows it.
type Instance struct {
	ID          string `json:"id"` // INSTANCE_ID: for people; two runs may have the same
	Incarnation string `json:"inc"`
	// URL is the base that clients reach this very instance under, "" when it
	// advertises none: wss://host, without a slash at its end.
	URL     string `json:"url,omitempty"`
	Address string `json:"address,omitempty"` // host:port it listens on
	// Peer is the base that other instances reach its admin port under, "" when
	// it is not known: http://10.0.0.5:9007, without a slash at its end.
	Peer    string `json:"peer,omitempty"`
	Zone    string `json:"zone,omitempty"`
	Version string `json:"version,omitempty"`

	State       State `json:"state"`
	Connections int   `json:"connections"`
	Capacity    int   `json:"capacity"`
	// Leaving counts the connections that it has handed off a moment ago and
	// that may not have come to another instance yet.
	Leaving     int     `json:"leaving,omitempty"`
	CPU         float64 `json:"cpu"` // fraction of the cores it may use, since the heartbeat before
	Memory      int64   `json:"memory"`
	MemoryLimit int64   `json:"memoryLimit,omitempty"` // bytes above which it takes nobody; 0: none

	Started   time.Time `json:"started"`
	Heartbeat time.Time `json:"heartbeat"` // the last, by its own clock
}

// Load is what an instance carries, as its gateway tells it.
type Load struct {
	Connections int // authenticated or not
	Capacity    int
	Memory      int64 // bytes in use
	MemoryLimit int64 // 0: none
	Full        bool  // takes nobody now
	Draining    bool
}

// state is what comes of a load.
func (l Load) state() State {
	switch {
	case l.Draining:
		return Draining
	case l.Full || l.Connections >= l.Capacity:
		return Full
	}
	return Ready
}

// share is the part of its capacity that an instance uses; 1 without any.
func (i Instance) share() float64 {
	if i.Capacity <= 0 {
		return 1
	}
	return float64(i.Connections) / float64(i.Capacity)
}

// newIncarnation returns 40 random bits as 8 letters and digits.
func newIncarnation() string { return strings.ToLower(rand.Text()[:8]) }

// byName orders instances the same way everywhere.
func byName(all []Instance) {
	slices.SortFunc(all, func(a, b Instance) int {
		if c := strings.Compare(a.ID, b.ID); c != 0 {
			return c
		}
		return strings.Compare(a.Incarnation, b.Incarnation)
	})
}
