package limit

import (
	"sync/atomic"
	"time"
)

// rate is what a bucket allows. Immutable.
type rate struct {
	interval int64 // nanoseconds between two messages
	burst    int64 // nanoseconds
}

func perSecond(n int, burst time.Duration) rate {
	return rate{int64(time.Second) / int64(n), int64(burst)}
}

// bucket is the state of one rate of one subject: the time, in nanoseconds
// since the limiter was made, at which it would be full again (the theoretical
// arrival time of the next message). Its zero value is full. Safe for
// concurrent use.
type bucket struct{ full atomic.Int64 }

// take takes one message from the bucket at a time; false when it has none.
func (b *bucket) take(now int64, r rate) bool {
	for {
		before := b.full.Load()
		after := max(before, now) + r.interval
		if after-now > r.burst {
			return false
		}
		if b.full.CompareAndSwap(before, after) {
			return true
		}
	}
}
