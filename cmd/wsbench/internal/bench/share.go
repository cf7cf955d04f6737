//go:build linux

package bench

import (
	"context"
	"time"
)

// Share is a worker's part of a run that several processes make together. The
// zero value is a whole run.
type Share struct {
	Worker  int // its number, from 0
	Workers int // at most one: the whole run
	Begin   int // number of its first connection among those of all
	All     int // connections of all
	Sources int // source addresses of the workers before it

	Barrier Barrier `json:"-"` // nil: nobody to wait for
}

// Barrier is where the workers of a run wait for each other.
type Barrier interface {
	// Arrive says that this worker has come to a border between phases. The
	// channel gets a number, which the border gives a meaning, once all have
	// come; it is closed instead when the run has ended.
	Arrive(border string) <-chan int64
}

// many is the number of workers above which they look up less often: they are
// more than cores, and each time costs all.
const many = 8

// look is how often the leading goroutine looks whether it may go on.
func (s *Share) look() time.Duration {
	if s.Workers > many {
		return 50 * time.Millisecond
	}
	return 5 * time.Millisecond
}

// tick is how often loops tick at least; 0: as they do.
func (s *Share) tick() time.Duration {
	if s.Workers > many {
		return 200 * time.Millisecond
	}
	return 0
}

// gather is how long loops wait for more once something has come: a burst of
// heartbeats then wakes each process once. Latencies are as much longer.
func (s *Share) gather() time.Duration {
	if s.Workers > many {
		return 5 * time.Millisecond
	}
	return 0
}

// first tells whether it is for this worker to do what is done once.
func (s *Share) first() bool { return s.Worker == 0 }

// all is the number of connections of all workers.
func (o *Options) all() int { return max(o.Share.All, o.Conns) }

// border waits until all workers have come so far.
func (f *fleet) border(ctx context.Context, name string) (number int64, err error) {
	b := f.opts.Share.Barrier
	if b == nil {
		return 0, nil
	}
	passed := b.Arrive(name)
	err = f.await(ctx, func() bool {
		select {
		case number = <-passed:
			return true
		default:
			return false
		}
	})
	return number, err
}

// leave waits, when all has been measured, until the others have measured too:
// the end of thousands of connections is work for the server.
func (f *fleet) leave() {
	if f.broken || f.opts.Share.Barrier == nil {
		return
	}
	passed := f.opts.Share.Barrier.Arrive("leave")
	t := time.NewTicker(f.opts.Share.look())
	defer t.Stop()
	for {
		select {
		case <-passed:
			return
		case <-t.C:
			f.progress()
		}
	}
}

// waitFor awaits a condition for as long as something happens: while what
// moves returns changes, and not longer than within beyond that.
func (f *fleet) waitFor(ctx context.Context, within time.Duration, moves func() int64, done func() bool) error {
	last, since := moves(), time.Now()
	return f.await(ctx, func() bool {
		if n := moves(); n != last {
			last, since = n, time.Now()
		}
		return done() || time.Since(since) > within
	})
}
