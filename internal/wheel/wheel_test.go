package wheel

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type call func()

func (c call) Expired() { c() }

func inBubble(t *testing.T, f func(t *testing.T, w *Wheel)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := New()
		w.Start()
		defer w.Stop()
		f(t, w)
	})
}

func TestATimerIsNeverEarlyAndAtMostTwoTicksLate(t *testing.T) {
	inBubble(t, func(t *testing.T, w *Wheel) {
		for _, d := range []time.Duration{0, time.Millisecond, Tick, 75 * time.Millisecond, 25 * time.Second, 52 * time.Second, 3 * time.Hour} {
			time.Sleep(13 * time.Millisecond) // off the tick
			var timer Timer
			begin, end := time.Now(), make(chan time.Time, 1)
			w.Schedule(&timer, d, call(func() { end <- time.Now() }))
			if late := (<-end).Sub(begin) - d; late < 0 || late > 2*Tick {
				t.Errorf("after %v: expired %v late", d, late)
			}
		}
	})
}

func TestCancelKeepsATimerFromExpiring(t *testing.T) {
	inBubble(t, func(t *testing.T, w *Wheel) {
		var timer Timer
		if w.Cancel(&timer) {
			t.Error("an idle timer was cancelled")
		}
		w.Schedule(&timer, time.Second, call(func() { t.Error("expired") }))
		if !w.Cancel(&timer) || w.Cancel(&timer) {
			t.Error("a pending timer is cancelled once")
		}
		time.Sleep(time.Minute)
	})
}

func TestSchedulingAgainReplacesThePendingCall(t *testing.T) {
	inBubble(t, func(t *testing.T, w *Wheel) {
		var timer Timer
		begin := time.Now()
		var at atomic.Int64
		w.Schedule(&timer, time.Second, call(func() { t.Error("the first call happened") }))
		w.Schedule(&timer, 2*time.Second, call(func() { at.Store(int64(time.Since(begin))) }))
		time.Sleep(time.Minute)
		if d := time.Duration(at.Load()); d < 2*time.Second || d > 2*time.Second+2*Tick {
			t.Errorf("expired after %v", d)
		}
	})
}

func TestATaskMayScheduleItselfAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, w *Wheel) {
		var timer Timer
		var n atomic.Int32
		var task call
		task = func() {
			if n.Add(1) < 5 {
				w.Schedule(&timer, 0, task)
			}
		}
		w.Schedule(&timer, 0, task)
		time.Sleep(time.Second)
		if n.Load() != 5 {
			t.Errorf("ran %d times", n.Load())
		}
	})
}

func TestManyTimersOfOneSlotAllExpire(t *testing.T) {
	inBubble(t, func(t *testing.T, w *Wheel) {
		const n = 10_000
		timers := make([]Timer, n)
		var done atomic.Int32
		for i := range timers {
			w.Schedule(&timers[i], time.Duration(i%3)*51200*time.Millisecond, call(func() { done.Add(1) }))
		}
		time.Sleep(3 * time.Minute)
		if done.Load() != n {
			t.Errorf("%d of %d expired", done.Load(), n)
		}
	})
}

func TestNothingExpiresAfterStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := New()
		w.Start()
		var timer Timer
		w.Schedule(&timer, time.Second, call(func() { t.Error("expired") }))
		w.Stop()
		w.Stop()
		time.Sleep(time.Minute)
	})
}

func TestConcurrentScheduleAndCancelLoseNoTimer(t *testing.T) {
	w := New()
	w.Start()
	defer w.Stop()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			timers := make([]Timer, 50)
			var fired, want atomic.Int32
			for range 2000 {
				timer := &timers[rand.IntN(len(timers))]
				if rand.IntN(2) == 0 {
					w.Schedule(timer, time.Duration(rand.IntN(3))*Tick, call(func() { fired.Add(1) }))
				} else {
					w.Cancel(timer)
				}
			}
			done := make(chan struct{}, len(timers))
			for i := range timers {
				want.Add(1)
				w.Schedule(&timers[i], 0, call(func() { done <- struct{}{} }))
			}
			for range want.Load() {
				<-done
			}
		})
	}
	wg.Wait()
}

func TestATimerIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(Timer{}); n > 48 {
		t.Errorf("a timer takes %d bytes", n)
	}
}

func BenchmarkSchedule(b *testing.B) {
	w := New()
	w.Start()
	defer w.Stop()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		var timer Timer
		task := call(func() {})
		for pb.Next() {
			w.Schedule(&timer, time.Minute, task)
		}
	})
}
