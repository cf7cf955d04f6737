//go:build linux

package bench

import (
	"context"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/proc"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
)

// vitals are what a server holds at one moment.
type vitals struct {
	memory
	descriptors int
}

// vitalsLooker is looker with descriptors.
func vitalsLooker(ctx context.Context, o *Options) (look func() (vitals, error), done func(), err error) {
	memory, done, err := looker(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	return func() (v vitals, err error) {
		if o.PID > 0 {
			if v.descriptors, err = proc.OpenDescriptors(o.PID); err != nil {
				return v, err
			}
		}
		v.memory, err = memory()
		return v, err
	}, done, nil
}

// trend is one thing that must not grow once a load is steady.
type trend struct {
	name   string
	unit   string
	of     func(*vitals) float64
	factor float64 // of the last third by the middle one, at most
	slack  float64 // and so much more
}

// trends are what a soak watches. What a run needs changes from moment to
// moment, so each has some play; a leak of an hour's load is far beyond it.
func (m *mixed) trends() (list []trend) {
	o := m.opts
	if o.PID > 0 {
		list = append(list,
			trend{"RSS", "B", func(v *vitals) float64 { return float64(v.rss) }, 1.15, 16 << 20},
			trend{"descriptors", "", func(v *vitals) float64 { return float64(v.descriptors) }, 1.05, 32})
	}
	if o.Metrics != "" {
		list = append(list,
			trend{"live heap", "B", func(v *vitals) float64 { return float64(v.heap.Live) }, 1.10, 4 << 20},
			trend{"goroutines", "", func(v *vitals) float64 { return float64(v.heap.Goroutines) }, 1.10, 32})
	}
	return list
}

// leaks judges whether the server held more and more: it compares the last
// third of the run with the middle one; the first warms up.
func (m *mixed) leaks(res *report.Result, run *report.Run) {
	if m.look == nil {
		return
	}
	trends := m.trends()
	if len(trends) == 0 {
		res.Note("neither -pid nor -metrics: nothing is known of leaks")
		return
	}
	n := len(m.looked) / 3
	if n < 2 {
		res.Note("too short to judge leaks: %d looks at the server", len(m.looked))
		return
	}
	middle, last := m.looked[n:2*n], m.looked[len(m.looked)-n:]
	for _, t := range trends {
		was, is := average(middle, t.of), average(last, t.of)
		run.AddAs(report.Max, t.name+", middle third", was, t.unit)
		run.AddAs(report.Max, t.name+", last third", is, t.unit)
		res.Check(is <= was*t.factor+t.slack, t.name+": no growth", "%s, then %s", report.Format(was, t.unit), report.Format(is, t.unit))
	}
	if o := m.opts; o.Metrics != "" && !m.looked[len(m.looked)-1].heap.Forced {
		res.Note("/debug/pprof/heap?gc=1 was refused, the heap figures hold garbage (-admin-key?)")
	}
}

func average(list []vitals, of func(*vitals) float64) float64 {
	sum := 0.0
	for i := range list {
		sum += of(&list[i])
	}
	return sum / float64(len(list))
}
