package check

// Verdict is what one number says about its stream.
type Verdict uint8

// The verdicts.
const (
	Next      Verdict = iota // exactly the one that had to follow
	Ahead                    // numbers before it are missing: lost, unless they come later
	Late                     // was missing and came out of order
	Duplicate                // was seen before
)

// Sequence watches one stream whose numbers must rise by one. The zero value
// expects 1 first; see From.
type Sequence struct {
	last  uint64
	holes *holes // nil while nothing is missing
}

// holes are the missing ranges in rising order, both ends included.
type holes struct{ ranges [][2]uint64 }

// From returns a Sequence that expects last+1.
func From(last uint64) Sequence { return Sequence{last: last} }

// Last is the highest number seen.
func (s *Sequence) Last() uint64 { return s.last }

// Observe takes the next number of the stream.
func (s *Sequence) Observe(n uint64) Verdict {
	if n == s.last+1 {
		s.last = n
		return Next
	}
	return s.odd(n)
}

func (s *Sequence) odd(n uint64) Verdict {
	if n <= s.last {
		if s.fill(n) {
			return Late
		}
		return Duplicate
	}
	if s.holes == nil {
		s.holes = &holes{}
	}
	s.holes.ranges = append(s.holes.ranges, [2]uint64{s.last + 1, n - 1})
	s.last = n
	return Ahead
}

// fill takes n out of the missing ranges and reports whether it was there.
func (s *Sequence) fill(n uint64) bool {
	if s.holes == nil {
		return false
	}
	for i, r := range s.holes.ranges {
		if n < r[0] || n > r[1] {
			continue
		}
		rest := make([][2]uint64, 0, 2)
		if r[0] < n {
			rest = append(rest, [2]uint64{r[0], n - 1})
		}
		if n < r[1] {
			rest = append(rest, [2]uint64{n + 1, r[1]})
		}
		tail := append(rest, s.holes.ranges[i+1:]...)
		s.holes.ranges = append(s.holes.ranges[:i:i], tail...)
		return true
	}
	return false
}

// Missing is how many numbers up to top have not been seen.
func (s *Sequence) Missing(top uint64) uint64 {
	var n uint64
	if s.holes != nil {
		for _, r := range s.holes.ranges {
			n += r[1] - r[0] + 1
		}
	}
	if top > s.last {
		n += top - s.last
	}
	return n
}

// Tally counts verdicts; merge those of several loops with Add.
type Tally struct {
	Lost       uint64 `json:"lost"`
	Duplicated uint64 `json:"duplicated"`
	Reordered  uint64 `json:"reordered"`
}

// Count adds one verdict. Losses are added at the end, from Missing.
func (t *Tally) Count(v Verdict) {
	switch v {
	case Late:
		t.Reordered++
	case Duplicate:
		t.Duplicated++
	case Next, Ahead:
	}
}

// Add adds another tally.
func (t *Tally) Add(o Tally) {
	t.Lost += o.Lost
	t.Duplicated += o.Duplicated
	t.Reordered += o.Reordered
}

// Clean reports whether nothing was found.
func (t Tally) Clean() bool { return t == Tally{} }
