package limit

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func rated(c Config) Config {
	c.RateLimiting = true
	c.MessageRate, c.UserMessageRate, c.JoinRate, c.UserJoinRate, c.RateBurst = 10, 15, 2, 3, time.Second
	return c
}

func opened(t *testing.T, l *Limiter, from string) *Account {
	t.Helper()
	a, ok := l.Open(netip.MustParseAddr(from))
	if !ok {
		t.Fatalf("%s was refused", from)
	}
	return a
}

// passed is how many messages in a row pass.
func passed(a *Account, kind Kind) int {
	n := 0
	for a.Take(kind) == Pass {
		n++
	}
	return n
}

func TestWithoutLimitsThereIsNoAccount(t *testing.T) {
	l := New(Config{MaxRooms: 5})
	a, ok := l.Open(netip.MustParseAddr("192.0.2.1"))
	if a != nil || !ok {
		t.Fatalf("got %v, %v", a, ok)
	}
	if a.Take(Join) != Pass || a.Enter(t.Context(), "ann") != nil {
		t.Error("no account limits something")
	}
	a.Close()
	if s := l.Stats(); s.Addresses != 0 || s.Users != 0 {
		t.Errorf("counted %+v", s)
	}
}

func TestAnAddressHasSoManyConnections(t *testing.T) {
	for _, c := range []struct {
		name, first, second string
		same                bool
	}{
		{"one IPv4 address", "192.0.2.1", "192.0.2.1", true},
		{"its form in IPv6", "192.0.2.1", "::ffff:192.0.2.1", true},
		{"neighbours in IPv4", "192.0.2.1", "192.0.2.2", false},
		{"neighbours in IPv6", "2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true},
		{"two networks in IPv6", "2001:db8:0:1::1", "2001:db8:0:2::1", false},
		{"one address in two zones", "fe80::1%eth0", "fe80::1%eth1", true},
	} {
		l := New(Config{MaxPerAddress: 2})
		first := opened(t, l, c.first)
		opened(t, l, c.first)
		if _, ok := l.Open(netip.MustParseAddr(c.second)); ok == c.same {
			t.Errorf("%s: let in %v", c.name, ok)
		}
		first.Close()
		first.Close()
		opened(t, l, c.first)
		if _, ok := l.Open(netip.MustParseAddr(c.first)); ok {
			t.Errorf("%s: closing twice made room for two", c.name)
		}
		if _, ok := l.Open(netip.Addr{}); !ok {
			t.Errorf("%s: who has no address was refused", c.name)
		}
	}
}

func TestAUserHasSoManyConnections(t *testing.T) {
	l := New(Config{MaxPerUser: 2})
	first, second, third := opened(t, l, "::1"), opened(t, l, "::1"), opened(t, l, "::1")
	for _, a := range []*Account{first, second, first} { // again changes nothing
		if err := a.Enter(t.Context(), "ann"); err != nil {
			t.Fatal(err)
		}
	}
	if err := third.Enter(t.Context(), "bob"); err != nil {
		t.Fatal(err)
	}
	if err := third.Enter(t.Context(), "ann"); !errors.Is(err, ErrUser) {
		t.Errorf("the third got %v", err)
	}
	if s := l.Stats(); s.Users != 2 || s.RefusedUser != 1 {
		t.Errorf("who was refused is no longer who they were: %+v", s)
	}
	if err := first.Enter(t.Context(), ""); err != nil {
		t.Errorf("a guest got %v", err)
	}
	if err := third.Enter(t.Context(), "ann"); err != nil {
		t.Errorf("there was room, and the third got %v", err)
	}
	for _, a := range []*Account{first, second, third} {
		a.Close()
		if err := a.Enter(t.Context(), "late"); err != nil {
			t.Errorf("after the end: %v", err)
		}
	}
	if s := l.Stats(); s.Users != 0 {
		t.Errorf("%d users are left behind", s.Users)
	}
}

func TestAConnectionHasARate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(rated(Config{}))
		a := opened(t, l, "::1")
		if n := passed(a, Message); n != 10 {
			t.Errorf("a burst of 1s at 10/s is %d", n)
		}
		time.Sleep(300 * time.Millisecond)
		if n := passed(a, Message); n != 3 {
			t.Errorf("0.3 s at 10/s are %d", n)
		}
		time.Sleep(time.Hour)
		if n := passed(a, Message); n != 10 {
			t.Errorf("after a long silence: %d", n)
		}
		time.Sleep(time.Hour)
		if n := passed(a, Join); n != 2 {
			t.Errorf("joins at 2/s: %d", n)
		}
		if a.Take(Message) != Pass {
			t.Error("who joins too fast may not do anything else")
		}
		if other := opened(t, l, "::1"); other.Take(Join) != Pass {
			t.Error("another connection pays")
		}
		if s := l.Stats(); s.Limited["message"] != 3 || s.Limited["join"] != 1 || s.Closed != 0 {
			t.Errorf("counted %+v", s)
		}
	})
}

func TestConnectionsOfAUserShareARate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(rated(Config{}))
		first, second, guest := opened(t, l, "::1"), opened(t, l, "::1"), opened(t, l, "::1")
		for _, a := range []*Account{first, second} {
			if err := a.Enter(t.Context(), "ann"); err != nil {
				t.Fatal(err)
			}
		}
		if n := passed(first, Message) + passed(second, Message); n != 15 {
			t.Errorf("two connections passed %d", n)
		}
		time.Sleep(time.Minute)
		if n := passed(first, Join) + passed(second, Join); n != 3 {
			t.Errorf("two connections joined %d", n)
		}
		if n := passed(guest, Message); n != 10 {
			t.Errorf("a guest passed %d", n)
		}
		first.Close()
		second.Close()
		if n := l.Stats().Users; n != 0 {
			t.Errorf("%d users are left behind", n)
		}
	})
}

func TestAFloodEndsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(rated(Config{}))
		a := opened(t, l, "::1")
		var got [3]int
		for range 100 {
			got[a.Take(Message)]++
		}
		if got != [3]int{10, 10, 80} {
			t.Errorf("passed, refused, ended: %v", got)
		}
		if s := l.Stats(); s.Limited["message"] != 10 || s.Closed != 1 {
			t.Errorf("counted %+v", s)
		}
		// A third over the rate, for long, is told and not ended.
		b := opened(t, l, "::1")
		for range 1000 {
			time.Sleep(75 * time.Millisecond)
			if b.Take(Message) == End {
				t.Fatal("who is a little over its rate was disconnected")
			}
		}
	})
}

// A bucket gives what its rate gives, however many ask.
func TestABucketGivesNoMoreThanItHas(t *testing.T) {
	r := perSecond(100, time.Second)
	var b bucket
	var got atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				if b.take(0, r) {
					got.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if got.Load() != 100 {
		t.Errorf("gave %d", got.Load())
	}
}

// Whatever accounts do at once, no user passes the limit and nothing is left.
func TestAccountsInAHurry(t *testing.T) {
	l := New(rated(Config{MaxPerUser: 3, MaxPerAddress: 1000}))
	var holds [4]atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 2000 {
				a, ok := l.Open(netip.MustParseAddr("::1"))
				if !ok {
					t.Error("refused an address that has room")
					return
				}
				user := rand.IntN(len(holds))
				if a.Enter(t.Context(), fmt.Sprint(user)) == nil {
					if holds[user].Add(1) > 3 {
						t.Error("one too many")
					}
					a.Take(Join)
					holds[user].Add(-1)
				}
				wg.Go(a.Close)
				a.Close()
			}
		})
	}
	wg.Wait()
	if s := l.Stats(); s.Users != 0 || s.Addresses != 0 {
		t.Errorf("left behind: %+v", s)
	}
}

func TestBadSettingsAreAllNamed(t *testing.T) {
	err := Config{MaxPerUser: -1, MaxPerAddress: -1, MaxRooms: -1, MessageRate: 2_000_000, RateBurst: time.Millisecond}.Validate()
	for _, name := range []string{
		"MAX_CONNECTIONS_PER_USER -1", "MAX_CONNECTIONS_PER_ADDRESS -1", "MAX_ROOMS -1", "MESSAGE_RATE 2000000", "MESSAGE_RATE_PER_USER 0",
		"JOIN_RATE 0", "JOIN_RATE_PER_USER 0", "RATE_BURST 1ms",
	} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named in %v", name, err)
		}
	}
	if err := rated(Config{}).Validate(); err != nil {
		t.Error(err)
	}
}

func BenchmarkTake(b *testing.B) {
	c := rated(Config{})
	c.MessageRate, c.UserMessageRate = maxRate, maxRate
	a, _ := New(c).Open(netip.IPv6Loopback())
	if err := a.Enter(b.Context(), "ann"); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		a.Take(Message)
	}
}
