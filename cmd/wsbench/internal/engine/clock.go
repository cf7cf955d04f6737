//go:build linux

package engine

import "time"

// Clock tells monotonic nanoseconds anchored at the wall clock, so that two
// processes on one machine agree.
type Clock struct{ start time.Time }

// NewClock returns a clock.
func NewClock() Clock { return Clock{start: time.Now()} }

// Now is the time in nanoseconds since 1970.
func (k Clock) Now() int64 { return k.start.UnixNano() + int64(time.Since(k.start)) }
