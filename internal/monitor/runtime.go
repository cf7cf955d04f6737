package monitor

import (
	"math"
	"runtime"
	"runtime/metrics"
)

// Runtime is how the process itself does.
type Runtime struct {
	Goroutines    uint64  `json:"goroutines"`
	Processors    int     `json:"processors"` // GOMAXPROCS
	HeapLiveBytes uint64  `json:"heapLiveBytes"`
	HeapGoalBytes uint64  `json:"heapGoalBytes"`
	TotalBytes    uint64  `json:"totalBytes"` // mapped by the Go runtime
	GCPercent     uint64  `json:"gcPercent"`
	MemoryLimit   uint64  `json:"memoryLimitBytes"` // 0: none
	GCCycles      uint64  `json:"gcCycles"`
	GCCPUShare    float64 `json:"gcCpuShare"` // of the CPU time there was
	GCPauseP99    float64 `json:"gcPauseP99Ms"`
	SchedulerP99  float64 `json:"schedulerLatencyP99Ms"` // ready goroutines waiting for a processor
}

const (
	metricGoroutines = "/sched/goroutines:goroutines"
	metricLive       = "/gc/heap/live:bytes"
	metricGoal       = "/gc/heap/goal:bytes"
	metricTotal      = "/memory/classes/total:bytes"
	metricPercent    = "/gc/gogc:percent"
	metricLimit      = "/gc/gomemlimit:bytes"
	metricCycles     = "/gc/cycles/total:gc-cycles"
	metricGCCPU      = "/cpu/classes/gc/total:cpu-seconds"
	metricCPU        = "/cpu/classes/total:cpu-seconds"
	metricPauses     = "/sched/pauses/total/gc:seconds"
	metricLatencies  = "/sched/latencies:seconds"
)

// readRuntime reads the runtime's own metrics.
func readRuntime() Runtime {
	names := []string{metricGoroutines, metricLive, metricGoal, metricTotal, metricPercent, metricLimit, metricCycles,
		metricGCCPU, metricCPU, metricPauses, metricLatencies}
	samples := make([]metrics.Sample, len(names))
	for i, name := range names {
		samples[i].Name = name
	}
	metrics.Read(samples)
	read := make(map[string]metrics.Value, len(names))
	for _, s := range samples {
		read[s.Name] = s.Value
	}
	r := Runtime{
		Goroutines: whole(read[metricGoroutines]), Processors: runtime.GOMAXPROCS(0),
		HeapLiveBytes: whole(read[metricLive]), HeapGoalBytes: whole(read[metricGoal]), TotalBytes: whole(read[metricTotal]),
		GCPercent: whole(read[metricPercent]), MemoryLimit: whole(read[metricLimit]), GCCycles: whole(read[metricCycles]),
		GCPauseP99: quantile(read[metricPauses], 0.99) * 1000, SchedulerP99: quantile(read[metricLatencies], 0.99) * 1000,
	}
	if r.MemoryLimit == math.MaxInt64 {
		r.MemoryLimit = 0
	}
	if all := fraction(read[metricCPU]); all > 0 {
		r.GCCPUShare = fraction(read[metricGCCPU]) / all
	}
	return r
}

// whole, fraction and quantile read a value of a kind, 0 when the runtime no
// longer has it.
func whole(v metrics.Value) uint64 {
	if v.Kind() != metrics.KindUint64 {
		return 0
	}
	return v.Uint64()
}

func fraction(v metrics.Value) float64 {
	if v.Kind() != metrics.KindFloat64 {
		return 0
	}
	return v.Float64()
}

func quantile(v metrics.Value, q float64) float64 {
	if v.Kind() != metrics.KindFloat64Histogram {
		return 0
	}
	h, all := v.Float64Histogram(), uint64(0)
	for _, n := range h.Counts {
		all += n
	}
	rank := uint64(math.Ceil(q * float64(all)))
	for i, n := range h.Counts {
		if rank > n {
			rank -= n
			continue
		}
		if all == 0 {
			return 0
		}
		if high := h.Buckets[i+1]; !math.IsInf(high, 0) {
			return high
		}
		return h.Buckets[i]
	}
	return 0
}
