package cluster

import (
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// cpuEvery is the least time over which CPU use is measured: the kernel counts
// it in ticks.
const cpuEvery = 500 * time.Millisecond

// cpuMeter measures the CPU time that the process takes. Safe for concurrent
// use.
type cpuMeter struct {
	mu    sync.Mutex
	at    time.Time     // guarded by mu: of the last measurement
	spent time.Duration // guarded by mu: CPU time until then
	share float64       // guarded by mu
}

func newCPUMeter() *cpuMeter { return &cpuMeter{at: time.Now(), spent: cpuTime()} }

// read returns the part of the time of the cores it may use that the process
// took lately, 0 to 1.
func (m *cpuMeter) read() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	past := now.Sub(m.at)
	if past < cpuEvery {
		return m.share
	}
	spent := cpuTime()
	m.share = min(float64(spent-m.spent)/float64(past)/float64(runtime.GOMAXPROCS(0)), 1)
	m.at, m.spent = now, spent
	return m.share
}

// cpuTime is what the process has spent of CPU time, 0 when it is not known.
func cpuTime() time.Duration {
	var use unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &use); err != nil {
		return 0
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}
