package presence

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/limit"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
)

// Users come to a room and leave it, with two other instances to look at.
func BenchmarkComeAndGo(b *testing.B) {
	w := newWorld(b, redistest.Single(b).Config(), "a", "b", "c")
	d, n := w.all[0].dir, 0
	for b.Loop() {
		user := fmt.Sprint(n / 2)
		if n++; n%2 == 1 {
			d.Entered("x", user)
		} else {
			d.Left("x", user, 0)
		}
		for n%5000 == 0 && !d.Stats().Settled {
			time.Sleep(time.Millisecond)
		}
	}
	w.all[0].settled()
}

// Clients authenticate, thousands at once.
func BenchmarkEnterWithALimit(b *testing.B) {
	w := newWorld(b, redistest.Single(b).Config(), "a", "b", "c")
	var users atomic.Int64
	b.SetParallelism(500)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			a := w.all[0].account()
			if err := a.Enter(b.Context(), fmt.Sprint(users.Add(1))); err != nil {
				b.Error(err)
			}
			a.Close()
		}
	})
	w.all[0].settled()
}

// Many join one room.
func BenchmarkReadWhoIsElsewhere(b *testing.B) {
	w := newWorld(b, redistest.Single(b).Config(), "a", "b", "c")
	for n := range 90 {
		w.all[1+n%2].dir.Entered("x", fmt.Sprint(n))
	}
	w.settled()
	b.SetParallelism(500)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if e, err := w.all[0].dir.Elsewhere(b.Context(), "x", "", 101); err != nil || len(e.Users) != 90 {
				b.Fatal(len(e.Users), err)
			}
		}
	})
}

// An instance with 50,000 users writes everything anew.
func BenchmarkWriteAnew(b *testing.B) {
	w := newWorld(b, redistest.Single(b).Config(), "a")
	a := w.all[0]
	for n := range 50_000 {
		p := a.connect(fmt.Sprint("u", n))
		p.join(fmt.Sprint("x", n%500))
		acc := a.account()
		if err := acc.Enter(b.Context(), fmt.Sprint("u", n)); err != nil {
			b.Fatal(err)
		}
		defer func(acc *limit.Account) { acc.Close() }(acc)
	}
	a.settled()
	for b.Loop() {
		a.dir.startAnew()
		a.settled()
	}
}
