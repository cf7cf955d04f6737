package check

import (
	"math/rand/v2"
	"testing"
)

func TestInjectedFaultsAreFound(t *testing.T) {
	tests := map[string]struct {
		start uint64
		in    []uint64
		top   uint64
		want  Tally
	}{
		"a clean stream":                   {0, []uint64{1, 2, 3}, 3, Tally{}},
		"a clean stream from an offset":    {41, []uint64{42, 43}, 43, Tally{}},
		"nothing came":                     {0, nil, 4, Tally{Lost: 4}},
		"the first is lost":                {0, []uint64{2, 3}, 3, Tally{Lost: 1}},
		"the last is lost":                 {0, []uint64{1, 2}, 3, Tally{Lost: 1}},
		"two holes":                        {0, []uint64{1, 3, 7}, 7, Tally{Lost: 4}},
		"doubled at once":                  {0, []uint64{1, 1, 2}, 2, Tally{Duplicated: 1}},
		"doubled later":                    {0, []uint64{1, 2, 3, 1}, 3, Tally{Duplicated: 1}},
		"swapped":                          {0, []uint64{2, 1, 3}, 3, Tally{Reordered: 1}},
		"came late out of a wider hole":    {0, []uint64{1, 6, 3, 7}, 7, Tally{Lost: 3, Reordered: 1}},
		"came late, then once more":        {0, []uint64{1, 4, 3, 3}, 4, Tally{Lost: 1, Reordered: 1, Duplicated: 1}},
		"older than the start":             {41, []uint64{41, 42}, 42, Tally{Duplicated: 1}},
		"a hole filled from both its ends": {0, []uint64{5, 4, 1, 2, 3}, 5, Tally{Reordered: 4}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := run(From(tt.start), tt.in, tt.top); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// TestRandomFaultsAddUp drops, doubles and delays at random and compares with
// a plain set.
func TestRandomFaultsAddUp(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		const top = 500
		var in []uint64
		var late []uint64
		for n := uint64(1); n <= top; n++ {
			switch rnd.IntN(20) {
			case 0: // lost
			case 1:
				in = append(in, n, n)
			case 2:
				late = append(late, n)
			default:
				in = append(in, n)
			}
			if len(late) > 0 && rnd.IntN(5) == 0 {
				in, late = append(in, late[0]), late[1:]
			}
		}
		if got, want := run(Sequence{}, in, top), byHand(in, top); got != want {
			t.Fatalf("got %+v, want %+v for %v", got, want, in)
		}
	}
}

func run(s Sequence, in []uint64, top uint64) Tally {
	var tally Tally
	for _, n := range in {
		tally.Count(s.Observe(n))
	}
	tally.Lost += s.Missing(top)
	return tally
}

func byHand(in []uint64, top uint64) Tally {
	var want Tally
	seen, last := map[uint64]bool{}, uint64(0)
	for _, n := range in {
		switch {
		case seen[n]:
			want.Duplicated++
		case n < last:
			want.Reordered++
		}
		seen[n] = true
		last = max(last, n)
	}
	want.Lost = top - uint64(len(seen))
	return want
}
