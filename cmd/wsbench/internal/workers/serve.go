//go:build linux

package workers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/bench"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
)

// Scenario leads one scenario to its result.
type Scenario func(ctx context.Context, o *bench.Options, res *report.Result) error

// Serve is a worker: it does one job, and stops early when told to or when in
// ends. find looks a scenario up by its name and returns nil for an unknown
// one; self is this program.
func Serve(self string, in io.Reader, out io.Writer, find func(name string) Scenario) error {
	d := json.NewDecoder(in)
	var first order
	if err := d.Decode(&first); err != nil || first.Job == nil {
		return fmt.Errorf("worker: no job: %w", err)
	}
	scenario := find(first.Job.Scenario)
	if scenario == nil {
		return fmt.Errorf("worker: no scenario %q", first.Job.Scenario)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	w := &worker{out: json.NewEncoder(out), cancel: cancel}
	go w.obey(d) // ends with the process: nothing else ends a read of the standard input
	return w.work(ctx, self, first.Job, scenario)
}

// notDone is the check that fails when a run could not be done.
const notDone = "the run could be done"

// worker is the one job of this process.
type worker struct {
	cancel context.CancelCauseFunc

	mu     sync.Mutex
	out    *json.Encoder // Guarded by mu.
	passed chan int64    // Guarded by mu: of the border that is waited at; nil: none
	over   bool          // Guarded by mu: nothing is waited for any more.
}

func (w *worker) work(ctx context.Context, self string, j *job, scenario Scenario) error {
	o := &j.Options
	o.Self, o.Share.Barrier, o.Progress = self, w, report.NewProgress(w)
	if err := o.Check(); err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	res := report.New(j.Scenario, nil)
	switch err := scenario(ctx, o, res); {
	case errors.Is(err, bench.ErrInterrupted):
		res.Interrupted = true
	case err != nil:
		res.Check(false, notDone, "%v", err)
	}
	res.Seconds = time.Since(res.Started).Seconds()
	return w.say(&word{Result: res})
}

// obey follows orders until there are no more.
func (w *worker) obey(d *json.Decoder) {
	for {
		var o order
		if err := d.Decode(&o); err != nil || o.Stop {
			w.end()
			return
		}
		if o.Go != nil {
			w.pass(*o.Go)
		}
	}
}

func (w *worker) pass(number int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.passed != nil {
		w.passed <- number
		w.passed = nil
	}
}

// end stops the job.
func (w *worker) end() {
	w.cancel(bench.ErrInterrupted)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	if w.passed != nil {
		close(w.passed)
		w.passed = nil
	}
}

// Arrive implements bench.Barrier.
func (w *worker) Arrive(border string) <-chan int64 {
	passed := make(chan int64, 1)
	w.mu.Lock()
	if w.over {
		close(passed)
	} else {
		w.passed = passed
	}
	w.mu.Unlock()
	if w.say(&word{Border: border}) != nil {
		w.end() // nobody listens any more
	}
	return passed
}

// Show implements report.View.
func (w *worker) Show(s report.Status) { _ = w.say(&word{Status: &s}) }

// Done implements report.View.
func (w *worker) Done() {}

func (w *worker) say(v *word) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.out.Encode(v); err != nil {
		return errors.Join(errors.New("worker: the leading process cannot be told"), err)
	}
	return nil
}
