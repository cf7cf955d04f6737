//go:build linux

package workers

import (
	"errors"
	"fmt"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/bench"
)

// MaxSources bounds the source addresses of all workers together: they are
// 127.0.0.2 and following, and servers may listen at 127.1.0.0 and above.
const MaxSources = 60_000

// Rooms is what becomes of a scenario's rooms.
type Rooms uint8

// The ways. A worker can only check all that happens in rooms of its own.
const (
	Shared  Rooms = iota // the workers have the same rooms
	Apart                // each worker has as many, of its own
	Divided              // each worker has a part of them
)

// Split shares a run out among n workers: connections, rates and rooms.
func Split(o *bench.Options, n int, rooms Rooms) ([]bench.Options, error) {
	if err := possible(o, n, rooms); err != nil {
		return nil, err
	}
	shares := make([]bench.Options, n)
	begin := 0
	for i := range shares {
		s := &shares[i]
		*s = *o
		s.Progress = nil
		s.Conns = part(o.Conns, i, n)
		s.Share = bench.Share{Worker: i, Workers: n, Begin: begin, All: o.Conns, Sources: i * o.SrcAddrs}
		begin += s.Conns
		load(s, o, i, n)
		if rooms != Shared {
			s.RoomPrefix = fmt.Sprintf("%s%d-", o.RoomPrefix, i+1)
		}
		if rooms == Divided {
			s.Rooms = part(o.Rooms, i, n)
		}
		if i > 0 {
			s.Metrics, s.AdminKey = "", "" // one is enough to ask the server
		}
	}
	return shares, nil
}

// possible finds what keeps a run from being shared out.
func possible(o *bench.Options, n int, rooms Rooms) error {
	switch {
	case o.Stalled > 0 || o.Baseline != "" || o.CompareNaive:
		return errors.New("-workers wants neither -stalled, -baseline nor -compare-naive")
	case o.Conns < n*o.Threads:
		return fmt.Errorf("-workers %d with -threads %d need at least as many connections", n, o.Threads)
	case rooms == Divided && o.Rooms < n:
		return fmt.Errorf("-rooms must be at least -workers (%d): each worker has rooms of its own", n)
	case o.SrcAddrs*n > MaxSources:
		return fmt.Errorf("-src-addrs %d for each of %d workers are above %d", o.SrcAddrs, n, MaxSources)
	}
	return nil
}

// load shares out what is done per second, or at most at once.
func load(s, o *bench.Options, i, n int) {
	s.Ramp, s.InFlight = max(part(o.Ramp, i, n), 1), max(part(o.InFlight, i, n), 1)
	s.Moving = part(o.Moving, i, n)
	share := float64(s.Conns) / float64(o.Conns)
	s.Rate, s.PublishRate = o.Rate*share, o.PublishRate*share
	s.ChurnRate, s.HopRate = o.ChurnRate*share, o.HopRate*share
}

// part is the i-th of n nearly equal parts of a number.
func part(sum, i, n int) int {
	p := sum / n
	if i < sum%n {
		p++
	}
	return p
}
