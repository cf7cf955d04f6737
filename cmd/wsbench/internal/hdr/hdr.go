package hdr

import (
	"math/bits"
	"time"
)

const (
	subBits = 7
	sub     = 1 << subBits
	topBit  = 41 // values up to 2^41 ns, 36 minutes; above is counted in the last step
	steps   = (topBit - subBits + 1) * sub
)

// Histogram counts durations in nanoseconds. The zero value is empty and ready.
type Histogram struct {
	counts [steps]uint64
	n      uint64
	sum    uint64
	max    int64
}

// Record counts one value in nanoseconds; a negative one counts as 0.
func (h *Histogram) Record(ns int64) { h.RecordN(ns, 1) }

// RecordN counts the same value n times.
func (h *Histogram) RecordN(ns int64, n uint64) {
	if ns < 0 {
		ns = 0
	}
	h.counts[index(uint64(ns))] += n
	h.n += n
	h.sum += uint64(ns) * n
	if ns > h.max {
		h.max = ns
	}
}

// index is linear below 128, then 128 steps for each power of two.
func index(v uint64) int {
	if v < sub {
		return int(v)
	}
	shift := bits.Len64(v) - subBits - 1
	i := shift<<subBits + int(v>>shift) //nolint:gosec // an index
	return min(i, steps-1)
}

// upper is the largest value that falls into step i.
func upper(i int) uint64 {
	if i < 2*sub {
		return uint64(i) //nolint:gosec // an index
	}
	shift := i>>subBits - 1
	return (uint64(i&(sub-1)|sub)+1)<<shift - 1 //nolint:gosec // an index
}

// Merge adds the counts of o.
func (h *Histogram) Merge(o *Histogram) {
	for i, c := range o.counts {
		h.counts[i] += c
	}
	h.n += o.n
	h.sum += o.sum
	h.max = max(h.max, o.max)
}

// Reset empties the histogram.
func (h *Histogram) Reset() { *h = Histogram{} }

// Count is the number of recorded values.
func (h *Histogram) Count() uint64 { return h.n }

// Max is the largest recorded value, exact.
func (h *Histogram) Max() time.Duration { return time.Duration(h.max) }

// Mean is the exact mean, 0 when empty.
func (h *Histogram) Mean() time.Duration {
	if h.n == 0 {
		return 0
	}
	return time.Duration(h.sum / h.n) //nolint:gosec // below max
}

// Quantile is the smallest step that at least the share q (0 to 1) of all
// values does not exceed, never above Max; 0 when empty.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.n == 0 {
		return 0
	}
	want := uint64(q*float64(h.n) + 0.5)
	want = min(max(want, 1), h.n)
	var seen uint64
	for i, c := range h.counts {
		if seen += c; seen >= want {
			return time.Duration(min(upper(i), uint64(h.max))) //nolint:gosec // bounded by max
		}
	}
	return h.Max()
}

// Summary is what a report shows of a histogram.
type Summary struct {
	Count uint64        `json:"count"`
	Mean  time.Duration `json:"mean_ns"`
	P50   time.Duration `json:"p50_ns"`
	P90   time.Duration `json:"p90_ns"`
	P99   time.Duration `json:"p99_ns"`
	P999  time.Duration `json:"p99_9_ns"`
	Max   time.Duration `json:"max_ns"`
}

// Summary returns the usual percentiles.
func (h *Histogram) Summary() Summary {
	return Summary{
		Count: h.Count(), Mean: h.Mean(), Max: h.Max(),
		P50: h.Quantile(0.5), P90: h.Quantile(0.9), P99: h.Quantile(0.99), P999: h.Quantile(0.999),
	}
}
