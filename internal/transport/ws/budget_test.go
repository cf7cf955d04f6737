package ws

import (
	"strings"
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// fill blocks a rig and queues frames of 1,000 bytes on it.
func fill(r *slowRig, frames int, f func(i int) *wire.Frame) *slowRig {
	r.block()
	for i := range frames {
		r.Send(f(i))
	}
	return r
}

func plain(int) *wire.Frame { return textFrame(strings.Repeat("x", 996)) }

func ended(r *slowRig) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closing
}

func TestOverTheBudgetTheLargestQueueIsCutFirst(t *testing.T) {
	large := newSlowRig(t, Config{SendQueueBytes: 40_000, SendBudgetBytes: 50_000})
	s := large.srv
	fill(large, 30, plain)
	middle := fill(slowRigOn(t, s), 15, plain)
	small := slowRigOn(t, s)
	small.block()
	for range 10 {
		small.Send(plain(0)) // the sixth passes the budget
		if n := s.budget.total.Load(); n > s.budget.limit {
			t.Fatalf("%d bytes are held, the budget is %d", n, s.budget.limit)
		}
	}
	if !ended(large) || ended(middle) || ended(small) {
		t.Errorf("ended: the largest %v, the middle %v, the smallest %v", ended(large), ended(middle), ended(small))
	}
	if got := large.messages(); len(got) != 2 || got[1] != "\x0f\xa8send budget exceeded" {
		t.Errorf("the largest was told %.80q", got)
	}
	if st := s.Stats(); st.BudgetCuts != 1 || st.SlowCuts != 0 || st.HeldBytes != s.budget.total.Load() {
		t.Errorf("%+v", st)
	}
}

func TestTheBudgetFirstTakesWhatPoliciesAllow(t *testing.T) {
	drops := newSlowRig(t, Config{SendQueueBytes: 40_000, SendBudgetBytes: 40_000})
	fill(drops, 30, func(i int) *wire.Frame {
		return publication(wire.SlowDropOldest, "r", uint64(i)+1, "", 980)
	})
	other := fill(slowRigOn(t, drops.srv), 15, plain)
	if ended(drops) || ended(other) || drops.srv.budget.total.Load() > 40_000 {
		t.Fatal("somebody was cut")
	}
	if got := drops.messages(); len(got) != 2 || got[1] != "gap r slow 0-30" {
		t.Errorf("%.80q", got)
	}
}

func TestAPeerThatReadsIsInNoBudget(t *testing.T) {
	r := newSlowRig(t, Config{SendQueueBytes: 10_000, SendBudgetBytes: 10_000})
	for range 100 {
		for range 15 {
			r.Send(plain(0))
		}
		if r.srv.budget.total.Load() != 0 {
			t.Fatal("held")
		}
		r.take(1 << 20)
	}
	if ended(r) {
		t.Error("cut")
	}
}

func TestTheBudgetForgetsWhoHasGone(t *testing.T) {
	first := newSlowRig(t, Config{})
	all := []*slowRig{first}
	for range 100 {
		all = append(all, slowRigOn(t, first.srv))
	}
	for i, r := range all {
		fill(r, 1+i%3, plain)
	}
	for i, r := range all {
		if i%2 == 0 {
			r.mu.Lock()
			r.dieLocked(abnormal("gone"), true)
			r.mu.Unlock()
		} else {
			r.w.open = 1 << 20
			r.mu.Lock()
			r.blocked = false
			r.mu.Unlock()
			for r.writeOnce(r.b) {
			}
		}
	}
	b := &first.srv.budget
	if len(b.holders) != 0 || b.total.Load() != 0 || cap(b.holders) > 64 {
		t.Errorf("%d holders, %d bytes, room for %d", len(b.holders), b.total.Load(), cap(b.holders))
	}
}

func TestTheBudgetDependsOnTheMemory(t *testing.T) {
	for name, tc := range map[string]struct {
		cfg    Config
		memory int64
		want   int64
	}{
		"an eighth of the memory":               {Config{}, 8 << 30, 1 << 30},
		"at least one queue":                    {Config{SendQueueBytes: 1 << 20}, 1 << 20, 1 << 20},
		"what was set":                          {Config{SendBudgetBytes: 5 << 20}, 8 << 30, 5 << 20},
		"a fixed amount where memory is hidden": {Config{}, 0, defaultBudget},
	} {
		if got := tc.cfg.Within(tc.memory).withDefaults().SendBudgetBytes; got != tc.want {
			t.Errorf("%s: %d, want %d", name, got, tc.want)
		}
	}
	if err := (Config{SendQueueBytes: 2, SendBudgetBytes: 1}).Validate(); err == nil {
		t.Error("a budget smaller than one queue was accepted")
	}
}
