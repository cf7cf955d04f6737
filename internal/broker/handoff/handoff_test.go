package handoff

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestARingIsAQueue(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var r Ring[int]
	var want []int
	grow := true
	for i := range 100_000 {
		if i%500 == 0 {
			grow = !grow
		}
		switch n := random.IntN(10); {
		case n == 0:
			r.Compact()
			if len(r.buf) > ringMin && len(r.buf) >= 4*r.n || r.n == 0 && r.buf != nil {
				t.Fatalf("%d slots for %d elements", len(r.buf), r.n)
			}
		case grow == (n > 3):
			r.Push(i)
			want = append(want, i)
		case len(want) > 0:
			if got := r.Pop(); got != want[0] {
				t.Fatalf("popped %d, want %d", got, want[0])
			}
			want = want[1:]
		}
		if r.n != len(want) || r.n > 0 && (*r.At(0) != want[0] || *r.At(r.n - 1) != want[r.n-1]) {
			t.Fatalf("step %d: %d elements, want %d", i, r.n, len(want))
		}
	}
	for i := range want {
		if *r.At(i) != want[i] {
			t.Fatalf("element %d is %d, want %d", i, *r.At(i), want[i])
		}
	}
	for i, v := range r.buf {
		if inside := (i-r.head+len(r.buf))%len(r.buf) < r.n; !inside && v != 0 {
			t.Fatalf("slot %d holds %d after it was popped", i, v)
		}
	}
}

func TestAThrongThatFindsSpaceDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var th Throng
		th.Wake() // nobody there
		first := th.Wait(func() bool { return false })
		select {
		case <-first:
			t.Error("went on without space")
		default:
		}
		if second := th.Wait(func() bool { return false }); second != first {
			t.Error("two gates")
		}
		<-th.Wait(func() bool { return true })
		<-first // all are let go and look for themselves
		next := th.Wait(func() bool { return false })
		th.Wake()
		<-next
	})
}

func TestAQueueHandsOutInOrderAndLetsGoWhenItCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := NewQueue[int]()
		q.Push(1)
		q.Push(2)
		for _, want := range []int{1, 2} {
			if got, ok := q.Pop(); got != want || !ok {
				t.Errorf("%d, %v, want %d", got, ok, want)
			}
		}
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				for {
					if _, ok := q.Pop(); !ok {
						return
					}
				}
			})
		}
		synctest.Wait()
		q.Push(3) // wakes one that is idle
		synctest.Wait()
		q.Close()
		wg.Wait()
		q.Push(4)
		if v, ok := q.Pop(); ok {
			t.Errorf("%d from a closed queue", v)
		}
	})
}

func TestARingWithoutElementsLendsItsBuffer(t *testing.T) {
	var r Ring[int]
	r.Push(1)
	r.Pop()
	buf := r.Reclaim()
	if r.Cap() != 0 || len(buf) != ringMin {
		t.Fatalf("%d slots left, %d taken", r.Cap(), len(buf))
	}
	r.Lend(buf)
	r.Push(2)
	if r.Cap() != ringMin || *r.At(0) != 2 {
		t.Errorf("%d slots, %d", r.Cap(), *r.At(0))
	}
}
