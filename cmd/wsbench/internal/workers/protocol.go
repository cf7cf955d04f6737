//go:build linux

package workers

import (
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/bench"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
)

// order is what a worker is told. The first has the job, the following one of
// the others.
type order struct {
	Job  *job   `json:"job,omitempty"`
	Go   *int64 `json:"go,omitempty"` // all have come to the border
	Stop bool   `json:"stop,omitempty"`
}

// job is what a worker is to do.
type job struct {
	Scenario string
	Options  bench.Options
}

// word is what a worker says: one of these.
type word struct {
	Border string         `json:"border,omitempty"` // it waits there
	Status *report.Status `json:"status,omitempty"`
	Result *report.Result `json:"result,omitempty"` // the last it says
}
