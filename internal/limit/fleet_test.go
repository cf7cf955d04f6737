package limit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
)

// others is a fleet that writes down what it is told.
type others struct {
	mu        sync.Mutex
	told      []string // guarded by mu
	elsewhere map[string]int
	err       error
	meet      func() // called while somebody asks
}

func (o *others) Counted(user string, connections int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.told = append(o.told, fmt.Sprint(user, "=", connections))
}

func (o *others) Elsewhere(_ context.Context, user string) (int, error) {
	if o.meet != nil {
		o.meet()
	}
	return o.elsewhere[user], o.err
}

func (o *others) expect(t *testing.T, want string) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if got := strings.Join(o.told, " "); got != want {
		t.Errorf("the fleet was told %q, want %q", got, want)
	}
	o.told = nil
}

func TestTheFleetCountsToo(t *testing.T) {
	l, o := New(Config{MaxPerUser: 3}), &others{elsewhere: map[string]int{"ann": 1}}
	l.UseFleet(o)
	first, second, third := opened(t, l, "::1"), opened(t, l, "::1"), opened(t, l, "::1")
	for _, a := range []*Account{first, second, first} {
		if err := a.Enter(t.Context(), "ann"); err != nil {
			t.Fatal(err)
		}
	}
	if err := third.Enter(t.Context(), "bob"); err != nil {
		t.Fatal(err)
	}
	o.expect(t, "ann=1 ann=2 bob=1")
	if err := third.Enter(t.Context(), "ann"); !errors.Is(err, ErrUser) {
		t.Errorf("with one elsewhere the third got %v", err)
	}
	o.expect(t, "ann=3 ann=2") // and is bob still
	here := map[string]int{}
	l.EachUser(func(user string, n int) bool {
		here[user] = n
		return true
	})
	if !maps.Equal(here, map[string]int{"ann": 2, "bob": 1}) || l.Here("ann") != 2 || l.Here("cid") != 0 {
		t.Errorf("here are %v", here)
	}
	n := 0
	if l.EachUser(func(string, int) bool { n++; return false }); n != 1 {
		t.Errorf("went on to %d", n)
	}
	o.err = errors.New("away")
	if err := third.Enter(t.Context(), "ann"); err != nil {
		t.Errorf("while the others are not known: %v", err)
	}
	o.expect(t, "ann=3 bob=0")
	if err := opened(t, l, "::1").Enter(t.Context(), "ann"); !errors.Is(err, ErrUser) {
		t.Errorf("more than may be on one instance: %v", err)
	}
	if err := third.Enter(t.Context(), ""); err != nil {
		t.Error(err)
	}
	o.expect(t, "ann=2")
	if s := l.Stats(); s.RefusedUser != 2 {
		t.Errorf("%+v", s)
	}
}

func TestAConnectionThatEndsWhileTheFleetIsAskedCountsNoMore(t *testing.T) {
	l, o := New(Config{MaxPerUser: 3}), &others{}
	l.UseFleet(o)
	a := opened(t, l, "::1")
	o.meet = a.Close
	if err := a.Enter(t.Context(), "ann"); err != nil {
		t.Error(err)
	}
	o.expect(t, "ann=1 ann=0")
	if s := l.Stats(); s.Users != 0 {
		t.Errorf("%d users are left behind", s.Users)
	}
}

func TestWithoutALimitTheFleetIsNotTold(t *testing.T) {
	for _, cfg := range []Config{{}, rated(Config{})} {
		l, o := New(cfg), &others{}
		l.UseFleet(o)
		a := opened(t, l, "::1")
		if err := a.Enter(t.Context(), "ann"); err != nil {
			t.Error(err)
		}
		l.EachUser(func(string, int) bool {
			t.Error("a user is told of")
			return true
		})
		a.Close()
		if !slices.Equal(o.told, nil) {
			t.Errorf("told %v", o.told)
		}
	}
	if n := New(Config{}).Here("ann"); n != 0 {
		t.Errorf("%d connections that are not counted", n)
	}
}
