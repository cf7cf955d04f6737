package presence

import (
	"fmt"
	"math"
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/hub"
)

func TestOneInstanceTells(t *testing.T) {
	in, out := true, false
	for name, c := range map[string]struct {
		came   bool
		others []sight
		want   bool
	}{
		"came, and nobody has them":               {in, nil, true},
		"came, and another has none of them":      {in, []sight{{inc: "a"}}, true},
		"came, and another has had them for long": {in, []sight{{inc: "a"}, {inc: "z", there: true}}, false},
		"came, and another a moment earlier":      {in, []sight{{inc: "z", there: true, came: 99}}, false},
		"came, and another a moment later":        {in, []sight{{inc: "a", there: true, came: 101}}, true},
		"came, and another at the same time":      {in, []sight{{inc: "a", there: true, came: 100}}, false},
		"came, and the other is second":           {in, []sight{{inc: "z", there: true, came: 100}}, true},
		"came, and another has lost them":         {in, []sight{{inc: "a", came: 50, went: 101}}, true},
		"came, later than one of two":             {in, []sight{{inc: "a", there: true, came: 101}, {inc: "b", there: true, came: 99}}, false},
		"went, and nobody has them":               {out, nil, true},
		"went, and another has them":              {out, []sight{{inc: "a", there: true}}, false},
		"went, and another has them since later":  {out, []sight{{inc: "a", there: true, came: 101}}, false},
		"went, and from another earlier":          {out, []sight{{inc: "z", went: 99}}, true},
		"went, and from another later":            {out, []sight{{inc: "a", went: 101}}, false},
		"went, and from another at the same time": {out, []sight{{inc: "z", went: 100}}, false},
		"went, and the other is first":            {out, []sight{{inc: "a", went: 100}}, true},
	} {
		if got := decide(c.came, 100, "m", c.others); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if !decide(out, math.Inf(1), "m", []sight{{inc: "z", went: 1e15}}) {
		t.Error("of an instance that is gone nobody tells")
	}
}

// Of any two that write at once and see each other exactly one tells.
func TestOfTwoExactlyOneTells(t *testing.T) {
	for _, a := range []float64{100, 101} {
		for _, b := range []float64{100, 101} {
			for _, came := range []bool{true, false} {
				of := func(inc string, at float64) []sight {
					if came {
						return []sight{{inc: inc, there: true, came: at}}
					}
					return []sight{{inc: inc, went: at}}
				}
				if decide(came, a, "a", of("b", b)) == decide(came, b, "b", of("a", a)) {
					t.Errorf("came %v, at %v and %v", came, a, b)
				}
			}
		}
	}
}

func TestChangesAreJoined(t *testing.T) {
	m := member{"x", "ann"}
	for name, c := range map[string]struct {
		do   func(c *changes)
		want string
	}{
		"came":                         {func(c *changes) { c.enter(m) }, "map[{x ann}:{true false false}]"},
		"came and went":                {func(c *changes) { c.enter(m); c.leave(m) }, "map[{x ann}:{false true false}]"},
		"came, went and came":          {func(c *changes) { c.enter(m); c.leave(m); c.enter(m) }, "map[{x ann}:{true false false}]"},
		"went":                         {func(c *changes) { c.leave(m) }, "map[{x ann}:{false false false}]"},
		"went and came":                {func(c *changes) { c.leave(m); c.enter(m) }, "map[]"},
		"went, came and went":          {func(c *changes) { c.leave(m); c.enter(m); c.leave(m) }, "map[{x ann}:{false false false}]"},
		"came twice":                   {func(c *changes) { c.enter(m); c.enter(m) }, "map[{x ann}:{true false false}]"},
		"came, was told here and went": {func(c *changes) { c.members[m] = change{in: true, told: true}; c.leave(m) }, "map[{x ann}:{false false false}]"},
		"went, was told here and came": {func(c *changes) { c.members[m] = change{told: true}; c.enter(m) }, "map[{x ann}:{true false false}]"},
	} {
		var ch changes
		ch.reset()
		c.do(&ch)
		if got := fmt.Sprint(ch.members); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestTooManyChangesAreGivenUpForAll(t *testing.T) {
	var c changes
	c.reset()
	for n := range mostChanges {
		c.enter(member{"x", fmt.Sprint(n)})
	}
	if c.anew || len(c.members) != mostChanges {
		t.Errorf("%d wait, anew %v", len(c.members), c.anew)
	}
	c.leave(member{"y", "ann"})
	if !c.anew || len(c.members) != 0 {
		t.Errorf("%d wait, anew %v", len(c.members), c.anew)
	}
}

func TestListsOfInstancesAreMerged(t *testing.T) {
	list := func(names ...string) []hub.RoomCount {
		var out []hub.RoomCount
		for _, n := range names {
			out = append(out, hub.RoomCount{Room: n, Connections: 1})
		}
		return out
	}
	for name, c := range map[string]struct {
		lists [][]hub.RoomCount
		limit int
		want  string
	}{
		"none":            {nil, 2, "[] false"},
		"one":             {[][]hub.RoomCount{list("a", "b")}, 2, "[{a 1} {b 1}] false"},
		"two":             {[][]hub.RoomCount{list("a", "c"), list("b", "c")}, 3, "[{a 1} {b 1} {c 2}] false"},
		"more than fit":   {[][]hub.RoomCount{list("a", "c"), list("b", "c")}, 2, "[{a 1} {b 1}] true"},
		"the last in all": {[][]hub.RoomCount{list("a", "b"), list("b"), list("b")}, 2, "[{a 1} {b 3}] false"},
	} {
		page, more := mergeRooms(c.lists, c.limit)
		if got := fmt.Sprint(page, more); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	if users, more := firstOf([]string{"c", "a", "c", "b"}, 3, false); fmt.Sprint(users, more) != "[a b c] false" {
		t.Errorf("users %v %v", users, more)
	}
	if users, more := firstOf([]string{"c", "a", "c", "b"}, 2, false); fmt.Sprint(users, more) != "[a b] true" {
		t.Errorf("users %v %v", users, more)
	}
	if users, more := firstOf([]string{"a"}, 2, true); fmt.Sprint(users, more) != "[a] true" {
		t.Errorf("users %v %v", users, more)
	}
}
