//go:build linux

package bench

import (
	"strings"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/check"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/hdr"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
)

func addTally(run *report.Run, t check.Tally) {
	run.Add("lost", float64(t.Lost), "")
	run.Add("duplicated", float64(t.Duplicated), "")
	run.Add("out of order", float64(t.Reordered), "")
}

const closedLoop = "closed loop: "

// closedLoopNote warns, once, of latencies that a closed loop flatters.
func closedLoopNote(res *report.Result, o *Options) {
	if o.Rate > 0 {
		return
	}
	for _, n := range res.Notes {
		if strings.HasPrefix(n, closedLoop) {
			return
		}
	}
	res.Note(closedLoop + "a slow server slows its clients down, so the latency flatters it; -rate measures from intended times")
}

// lateGoal is how late, of a hundred, the client itself may send the last
// before the report says so.
const lateGoal = 5 * time.Millisecond

// lateness tells how late after its intended time the client sent, in an open
// loop: what it is late counts in every latency.
func lateness(run *report.Run, res *report.Result, late *hdr.Histogram, o *Options) {
	if o.Rate == 0 || late.Count() == 0 {
		return
	}
	run.AddLatency("sent late by", late)
	if p99 := late.Quantile(0.99); p99 > lateGoal {
		res.Note("%s: the client sent 1 %% of the messages %v late or later, which is in the latencies: "+
			"the server did not take them, or this client lacks a core", run.Target, p99.Round(time.Millisecond/10))
	}
}
