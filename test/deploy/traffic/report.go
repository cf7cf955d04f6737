package traffic

import (
	"fmt"
	"strings"
	"time"
)

func (t *Traffic) fault(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.faultCount++; len(t.faults) < maxFaults {
		t.faults = append(t.faults, fmt.Sprintf(format, args...))
	}
}

// back takes down for how long a client was away.
func (t *Traffic) back(c *client, away time.Duration, last error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if away > t.longestAway {
		t.longestAway, t.awayFor = away, fmt.Sprintf("%s, polls: %v, last met: %v", c.user, c.polls, last)
	}
}

// Report is how it went.
type Report struct {
	Clients      int
	Acknowledged int64 // messages
	Repeated     int64 // publishes that had to be tried again
	Delivered    int64 // to clients, each once
	Again        int64 // that came again at a resume, as they may
	Reconnects   int64
	LongestAway  time.Duration // from the end of a connection until the client was back in its room
	AwayFor      string        // who that was, and what they met last
	Faults       []string      // the first of them
	FaultCount   int
}

func (t *Traffic) report() Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	return Report{
		Clients: len(t.clients), Acknowledged: t.acknowledged.Load(), Repeated: t.repeated.Load(),
		Delivered: t.delivered.Load(), Again: t.again.Load(), Reconnects: t.reconnects.Load(),
		LongestAway: t.longestAway, AwayFor: t.awayFor, Faults: t.faults, FaultCount: t.faultCount,
	}
}

// String is a line, and one more for each fault.
func (r Report) String() string {
	lines := append([]string{fmt.Sprintf(
		"%d clients: %d messages acknowledged (%d publishes repeated), %d delivered, %d of them once more, %d reconnects, the longest away %v (%s), %d faults",
		r.Clients, r.Acknowledged, r.Repeated, r.Delivered, r.Again, r.Reconnects, r.LongestAway.Round(time.Millisecond), r.AwayFor, r.FaultCount)},
		r.Faults...)
	return strings.Join(lines, "\n")
}

func (r Report) err() error {
	if r.FaultCount > 0 {
		return fmt.Errorf("%d faults, such as: %s", r.FaultCount, strings.Join(r.Faults[:min(5, len(r.Faults))], "; "))
	}
	return nil
}
