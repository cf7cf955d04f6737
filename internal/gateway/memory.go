package gateway

import (
	"runtime"
	"runtime/metrics"
	"sync/atomic"
	"time"
)

// memoryUse is what the process has of memory, in bytes.
type memoryUse struct {
	// Held is what the Go runtime has from the system and has not given back.
	Held uint64
	// Live is what of it is in use: objects that the last garbage collection
	// has found alive, stacks, and the runtime's own.
	Live uint64
}

// readMemory asks the runtime. It costs some microseconds and stops nobody.
func readMemory() memoryUse {
	samples := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/gc/heap/live:bytes"},
	}
	metrics.Read(samples)
	v := make([]uint64, len(samples))
	for i, s := range samples {
		if s.Value.Kind() == metrics.KindUint64 {
			v[i] = s.Value.Uint64()
		}
	}
	held := v[0] - v[1]
	return memoryUse{held, held - v[2] - v[3] - v[4] + v[5]}
}

// memoryEvery is how often memory is looked at while clients come.
const memoryEvery = 100 * time.Millisecond

// collectEvery is how often garbage is collected for those who are refused.
const collectEvery = 10 * time.Second

// memory is the budget above which nobody new is let in. Garbage alone never
// passes it: what the runtime holds may, until it collects.
type memory struct {
	// Immutable.
	budget uint64 // 0: none
	read   func() memoryUse
	birth  time.Time

	next    atomic.Int64 // when to look again, since birth
	collect atomic.Int64 // when to collect again, since birth
	passed  atomic.Bool
}

func newMemory(budget int64) *memory {
	return &memory{budget: uint64(max(budget, 0)), read: readMemory, birth: time.Now()}
}

// exceeded tells whether more is in use than the budget.
func (m *memory) exceeded() bool {
	if m.budget == 0 {
		return false
	}
	next, now := m.next.Load(), time.Since(m.birth)
	if int64(now) >= next && m.next.CompareAndSwap(next, int64(now+memoryEvery)) {
		m.passed.Store(m.look(now))
	}
	return m.passed.Load()
}

// look reads what is in use. What is live is known from the last collection: a
// process that refuses everybody may not come to the next one for minutes, so
// it is collected now, if that was not done a moment ago.
func (m *memory) look(now time.Duration) bool {
	if !m.over() {
		return false
	}
	if int64(now) >= m.collect.Load() {
		runtime.GC()
		m.collect.Store(int64(time.Since(m.birth) + collectEvery))
	}
	return m.over()
}

func (m *memory) over() bool {
	use := m.read()
	return use.Held > m.budget && use.Live > m.budget
}

// MemoryBudget is the memory in use above which nobody new is let in: what is
// configured; or nine tenths of the limit that the Go runtime keeps itself to
// (GOMEMLIMIT); or, without one, four fifths of the memory there is, less what
// the runtime lets garbage take. 0 when nothing is known.
func MemoryBudget(configured, machine int64) int64 {
	if configured > 0 {
		return configured
	}
	samples := []metrics.Sample{{Name: "/gc/gomemlimit:bytes"}, {Name: "/gc/gogc:percent"}}
	metrics.Read(samples)
	return budgetOf(machine, samples[0].Value.Uint64(), samples[1].Value.Uint64())
}

// budgetOf is MemoryBudget where the runtime keeps itself to soft bytes and
// lets the heap grow by so many percent between two collections.
func budgetOf(machine int64, soft, percent uint64) int64 {
	const none = 1 << 60 // the runtime says MaxInt64 bytes and MaxUint64 percent
	switch {
	case soft < none && (machine <= 0 || int64(soft) <= machine):
		return int64(soft) / 10 * 9
	case machine <= 0:
		return 0
	}
	percent = min(percent, 1000)
	return machine / 5 * 4 / int64(100+percent) * 100
}
