package peer

import (
	"context"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/cluster"
)

// Fleet knows the other instances.
type Fleet interface {
	// Incarnation is this instance's.
	Incarnation() string
	// Find returns another instance by its incarnation.
	Find(incarnation string) (cluster.Instance, bool)
	// Beat has the others asked for soon. It never blocks.
	Beat()
}

var _ Fleet = (*cluster.Registry)(nil)

// The wait for an instance that is not known: it may have come a moment ago,
// and a client of it here before this one has heard of it.
const (
	seekTime  = 400 * time.Millisecond
	seekStep  = 20 * time.Millisecond
	seekPause = 250 * time.Millisecond // between two questions, whoever asks
	maxSeek   = 64                     // who wait at a time; anybody may invent ids
)

// finder finds instances. Safe for concurrent use.
type finder struct {
	fleet Fleet // immutable

	mu      sync.Mutex
	asked   time.Time // guarded by mu: when an instance that is not known was last asked for
	seeking int       // guarded by mu: who wait for one
}

// find returns where another instance is reached.
func (f *finder) find(ctx context.Context, incarnation string) (*url.URL, bool) {
	if incarnation == "" || incarnation == f.fleet.Incarnation() {
		return nil, false
	}
	i, ok := f.fleet.Find(incarnation)
	if !ok {
		i, ok = f.seek(ctx, incarnation)
	}
	if !ok {
		return nil, false
	}
	base, err := parseBase(strings.TrimRight(i.Peer, "/"))
	return base, err == nil
}

// seek asks for an instance that is not known, and waits a moment for it.
func (f *finder) seek(ctx context.Context, incarnation string) (cluster.Instance, bool) {
	if !f.begin() {
		return cluster.Instance{}, false
	}
	defer f.end()
	ctx, cancel := context.WithTimeout(ctx, seekTime)
	defer cancel()
	tick := time.NewTicker(seekStep)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return cluster.Instance{}, false
		case <-tick.C:
		}
		if i, ok := f.fleet.Find(incarnation); ok {
			return i, true
		}
	}
}

func (f *finder) begin() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seeking >= maxSeek {
		return false
	}
	f.seeking++
	if now := time.Now(); now.Sub(f.asked) >= seekPause {
		f.asked = now
		f.fleet.Beat()
	}
	return true
}

func (f *finder) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seeking--
}
