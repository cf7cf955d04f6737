//go:build linux

package workers

import "github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"

// merge makes one result of those there are.
func (r *run) merge() (*report.Result, error) {
	var all []*report.Result
	for _, h := range r.hands {
		if h.result != nil {
			all = append(all, h.result)
		}
	}
	if len(all) == 0 {
		return nil, nil //nolint:nilnil // documented: there is nothing, and the fault is told already
	}
	res, err := report.Merge(all)
	if err != nil {
		return nil, err
	}
	perMessage(res, all)
	return res, nil
}

// perMessage mends the server's CPU time per message: each worker divided the
// whole of it by its own messages.
func perMessage(res *report.Result, all []*report.Result) {
	const figure = "server CPU per message"
	for _, run := range res.Runs {
		var reciprocal float64
		for _, part := range all {
			for _, r := range part.Runs {
				if v := r.Value(figure); r.Target == run.Target && v > 0 {
					reciprocal += 1 / v
				}
			}
		}
		for i := range run.Figures {
			if f := &run.Figures[i]; f.Name == figure && reciprocal > 0 {
				f.Value = 1 / reciprocal
			}
		}
	}
}
