package monitor

import (
	"math"
	"sync/atomic"
	"time"
)

// Bucket i holds durations over 2^((i+lowest-1)/8) and up to
// 2^((i+lowest)/8) seconds: from 60 ns, below which everything is in the first
// one, to 128 s, above which everything is in the last.
const (
	perDoubling = 8
	lowest      = -24 * perDoubling
	buckets     = 31*perDoubling + 1
)

// bounds divide a doubling: 2^(i/8)/2.
var bounds = [perDoubling]float64{
	0.5, 0.5452538663326288, 0.5946035575013605, 0.6484197773255048,
	0.7071067811865475, 0.7711054127039704, 0.8408964152537144, 0.9170040432046711,
}

// Schema is that of the buckets as a Prometheus native histogram.
const Schema = 3

// histogram counts durations.
type histogram struct {
	counts [buckets]atomic.Int64
	sum    atomic.Int64 // nanoseconds
	max    atomic.Int64 // nanoseconds
}

// bucketOf is where a duration is counted.
func bucketOf(d time.Duration) int {
	if d <= 0 {
		return 0
	}
	frac, exp := math.Frexp(d.Seconds())
	key := (exp - 1) * perDoubling
	for _, bound := range bounds {
		if frac > bound {
			key++
		}
	}
	return min(max(key-lowest, 0), buckets-1)
}

func (h *histogram) add(d time.Duration, weight uint32) {
	h.counts[bucketOf(d)].Add(int64(weight))
	h.sum.Add(int64(d) * int64(weight))
	for {
		most := h.max.Load()
		if int64(d) <= most || h.max.CompareAndSwap(most, int64(d)) {
			return
		}
	}
}

func (h *histogram) clear() {
	for i := range h.counts {
		h.counts[i].Store(0)
	}
	h.sum.Store(0)
	h.max.Store(0)
}

// Histogram is a snapshot of durations. Where only one in n was timed, it
// counts n times.
type Histogram struct {
	Count int64
	Sum   time.Duration
	Max   time.Duration // of those that were timed
	// Buckets are the counts by key of a native histogram of Schema: key k
	// holds what is over 2^((k-1)/8) and up to 2^(k/8) seconds. Empty ones are
	// left out.
	Buckets map[int]int64
}

// addTo adds to a snapshot.
func (h *histogram) addTo(s *Histogram) {
	for i := range h.counts {
		if n := h.counts[i].Load(); n != 0 {
			s.Buckets[i+lowest] += n
			s.Count += n
		}
	}
	s.Sum += time.Duration(h.sum.Load())
	s.Max = max(s.Max, time.Duration(h.max.Load()))
}

// Quantile is the duration that a share q (0 to 1) of all did not exceed,
// within 5 %; 0 when there were none.
func (s *Histogram) Quantile(q float64) time.Duration {
	if s.Count == 0 {
		return 0
	}
	rank := max(int64(math.Ceil(q*float64(s.Count))), 1)
	for key := lowest; key < lowest+buckets; key++ {
		if rank -= s.Buckets[key]; rank <= 0 {
			middle := math.Exp2((float64(key) - 0.5) / perDoubling)
			return min(time.Duration(middle*float64(time.Second)), s.Max)
		}
	}
	return s.Max
}
