//go:build linux

package bench

import (
	"context"
	"fmt"
	"time"
)

// watch lets it run for d, unless something fails, a connection ends or nothing
// arrives any more.
func (f *fleet) watch(ctx context.Context, d time.Duration, failed func() error) error {
	end := time.Now().Add(d)
	f.opts.Progress.Lasts(d)
	quiet := f.quietness()
	stalled := false
	err := f.await(ctx, func() bool {
		stalled = quiet() > f.opts.StallAfter
		return stalled || failed() != nil || f.group.Total().Ended > 0 || !time.Now().Before(end)
	})
	switch {
	case err != nil:
		return err
	case failed() != nil:
		return failed()
	case stalled:
		return fmt.Errorf("nothing was received for %v: a message is lost or the server has stalled", f.opts.StallAfter)
	}
	return nil
}

// settleDown waits until complete reports true: as long as something comes, but
// not for ever.
func (f *fleet) settleDown(complete func() bool) error {
	limit := time.Now().Add(time.Minute)
	quiet := f.quietness()
	return f.await(context.Background(), func() bool {
		return complete() || quiet() > f.opts.StallAfter || time.Now().After(limit)
	})
}

// quietness returns a function that tells for how long no message was counted.
func (f *fleet) quietness() func() time.Duration {
	last, since := int64(-1), time.Now()
	return func() time.Duration {
		if n := f.messages.Load(); n != last {
			last, since = n, time.Now()
		}
		return time.Since(since)
	}
}

// noFault is for scenarios that nothing but the end of a connection ends.
func noFault() error { return nil }
