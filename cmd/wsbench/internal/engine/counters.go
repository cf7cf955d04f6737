//go:build linux

package engine

import "sync/atomic"

// Counters are a loop's totals. They are written by the loop and may be read
// by anyone.
type Counters struct {
	Dialled   atomic.Int64
	Pending   atomic.Int64 // handshakes under way
	Open      atomic.Int64
	Failed    atomic.Int64 // handshakes that did not succeed
	Ended     atomic.Int64 // open connections that ended without our asking
	Finished  atomic.Int64 // open connections that ended after we had asked
	Pings     atomic.Int64 // answered
	BytesRead atomic.Int64
	Reads     atomic.Int64
	BusyNanos atomic.Int64 // time not spent waiting for events
	WaitNanos atomic.Int64
}

// Total is a snapshot, or the sum of several loops.
type Total struct {
	Dialled, Pending, Open, Failed, Ended, Finished, Pings, BytesRead, Reads, BusyNanos, WaitNanos int64
}

func (t *Total) add(c *Counters) {
	t.Dialled += c.Dialled.Load()
	t.Pending += c.Pending.Load()
	t.Open += c.Open.Load()
	t.Failed += c.Failed.Load()
	t.Ended += c.Ended.Load()
	t.Finished += c.Finished.Load()
	t.Pings += c.Pings.Load()
	t.BytesRead += c.BytesRead.Load()
	t.Reads += c.Reads.Load()
	t.BusyNanos += c.BusyNanos.Load()
	t.WaitNanos += c.WaitNanos.Load()
}
