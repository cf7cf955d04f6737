package report

import (
	"math"
	"time"
)

// Point is what happened in one step of time, a second at first. Rates are per
// second over the step; levels are those at its end.
type Point struct {
	At     float64 `json:"at"`   // end of the step, seconds since Result.Started
	Span   float64 `json:"span"` // length of the step in seconds
	Target string  `json:"target,omitempty"`
	Phase  string  `json:"phase"`

	Connections int64   `json:"connections"` // that are ready
	Goal        int64   `json:"goal"`        // connections that are wanted
	Failed      int64   `json:"failed"`      // handshakes and connections that failed or ended unasked, since the beginning
	Messages    float64 `json:"messages"`    // per second
	Bytes       float64 `json:"bytes"`       // received per second

	// Latency of what arrived in the step, nil when nothing was measured. Of
	// several processes: of the one where it was worst, so never better than
	// all together.
	Latency *Percentiles `json:"latency,omitempty"`

	ServerRSS int64   `json:"serverRss,omitempty"` // bytes
	ServerCPU float64 `json:"serverCpu,omitempty"` // percent of a core
	ClientRSS int64   `json:"clientRss,omitempty"`
	ClientCPU float64 `json:"clientCpu,omitempty"`
}

// Percentiles of one step.
type Percentiles struct {
	P50 time.Duration `json:"p50_ns"`
	P90 time.Duration `json:"p90_ns"`
	P99 time.Duration `json:"p99_ns"`
	Max time.Duration `json:"max_ns"`
}

// worst returns the larger of each; nil is nothing.
func worst(a, b *Percentiles) *Percentiles {
	if a == nil || b == nil {
		if a == nil {
			return b
		}
		return a
	}
	return &Percentiles{P50: max(a.P50, b.P50), P90: max(a.P90, b.P90), P99: max(a.P99, b.P99), Max: max(a.Max, b.Max)}
}

// MaxPoints bounds a series; a longer one is thinned out.
const MaxPoints = 2000

// thin halves a series by making one point of every two neighbours.
func thin(points []Point) []Point {
	half := make([]Point, 0, len(points)/2+1)
	for i := 0; i < len(points); i += 2 {
		if i+1 == len(points) || points[i].Target != points[i+1].Target {
			half = append(half, points[i:min(i+2, len(points))]...)
			continue
		}
		half = append(half, join(points[i], points[i+1]))
	}
	return half
}

// join makes one point of two that follow each other.
func join(a, b Point) Point {
	sum := a.Span + b.Span
	mean := func(x, y float64) float64 {
		if sum <= 0 {
			return y
		}
		return (x*a.Span + y*b.Span) / sum
	}
	b.Messages, b.Bytes = mean(a.Messages, b.Messages), mean(a.Bytes, b.Bytes)
	b.ServerCPU, b.ClientCPU = mean(a.ServerCPU, b.ServerCPU), mean(a.ClientCPU, b.ClientCPU)
	b.Latency, b.Span = worst(a.Latency, b.Latency), sum
	return b
}

// overlay adds up the series of processes that ran at the same time. shift is
// what each one's clock is ahead of the first's, in seconds. The steps are as
// long as the longest of any of them.
func overlay(series [][]Point, shift []float64) []Point {
	step, end := 1.0, 0.0
	for i, points := range series {
		for _, p := range points {
			step, end = max(step, math.Floor(p.Span)), max(end, p.At+shift[i])
		}
	}
	step = max(step, math.Ceil(end/MaxPoints))
	if end <= 0 || math.IsInf(end, 0) || math.IsNaN(end) {
		return nil
	}
	all := make([]Point, int(math.Ceil(end/step)))
	for i := range all {
		all[i].At, all[i].Span = float64(i+1)*step, step
	}
	for i, points := range series {
		lay(all, points, shift[i], step)
	}
	return all
}

// lay adds one process's points. Until its first and after its last it counts
// nothing; a step without a point of its own is as the one before.
func lay(all, points []Point, shift, step float64) {
	at := func(p Point) int { return min(max(int(math.Ceil((p.At+shift)/step))-1, 0), len(all)-1) }
	for i := 0; i < len(points); {
		here, p := at(points[i]), points[i]
		for i++; i < len(points) && at(points[i]) == here; i++ {
			p = join(p, points[i])
		}
		next := here + 1
		if i < len(points) {
			next = max(at(points[i]), next)
		}
		for n := here; n < next; n++ {
			all[n].put(p)
		}
	}
}

// Together is what several processes are doing at the same time.
func Together(parts ...Point) Point {
	var p Point
	for _, o := range parts {
		p.put(o)
		p.At, p.Span = max(p.At, o.At), max(p.Span, o.Span)
	}
	return p
}

// put adds what another process saw in the same step.
func (p *Point) put(o Point) {
	p.Target, p.Phase = o.Target, o.Phase
	p.Connections, p.Goal, p.Failed = p.Connections+o.Connections, p.Goal+o.Goal, p.Failed+o.Failed
	p.Messages, p.Bytes = p.Messages+o.Messages, p.Bytes+o.Bytes
	p.Latency = worst(p.Latency, o.Latency)
	p.ServerRSS, p.ServerCPU = max(p.ServerRSS, o.ServerRSS), max(p.ServerCPU, o.ServerCPU)
	p.ClientRSS, p.ClientCPU = p.ClientRSS+o.ClientRSS, p.ClientCPU+o.ClientCPU
}
