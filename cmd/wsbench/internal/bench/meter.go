//go:build linux

package bench

import (
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/hdr"
)

// meter collects one latency of a loop: into measured while it is on, and for
// the time series. Owned by the loop.
type meter struct {
	measured, recent hdr.Histogram
	on               bool
	turn             int64
}

func (m *meter) record(ns int64) { m.recent.Record(ns) }

// set begins or ends the measured time.
func (m *meter) set(on bool) {
	m.flush()
	m.on = on
}

func (m *meter) flush() {
	if m.on {
		m.measured.Merge(&m.recent)
	}
	m.recent.Reset()
}

// handover is how often a loop passes its latencies on. It is well below a
// step of the series, so that no step goes without.
const handover = 100 * time.Millisecond

// tick passes on what is recent, also to the time series.
func (m *meter) tick(now int64, f *fleet) {
	if now < m.turn {
		return
	}
	m.turn = now + int64(handover)
	if m.recent.Count() > 0 {
		f.window.add(&m.recent)
		m.flush()
	}
}

// pacer spreads n-th events evenly: the intended times of an open loop.
type pacer struct {
	begin int64
	every float64 // nanoseconds
	n     int64
}

func newPacer(begin int64, perSecond float64) pacer {
	return pacer{begin: begin, every: float64(time.Second) / perSecond}
}

// next is the intended time of the next event.
func (p *pacer) next() int64 { return p.begin + int64(float64(p.n)*p.every) }

// flushIfDue is tick for a meter that is not in the time series.
func (m *meter) flushIfDue(now int64) {
	if now >= m.turn {
		m.turn = now + int64(time.Second)
		m.flush()
	}
}
