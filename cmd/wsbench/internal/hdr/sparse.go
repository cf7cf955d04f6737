package hdr

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// Sparse is a histogram as it stands in a file: only the steps that hold
// something.
type Sparse struct {
	Sum uint64 `json:"sum"`
	Max int64  `json:"max"`
	// Counts holds pairs: how many empty steps precede this one, and its count.
	Counts Numbers `json:"counts"`
}

// Numbers stand in a file as one text, since there are hundreds of them.
type Numbers []uint64

// MarshalText writes the numbers with spaces between them.
func (n Numbers) MarshalText() ([]byte, error) {
	text := make([]byte, 0, 4*len(n))
	for i, v := range n {
		if i > 0 {
			text = append(text, ' ')
		}
		text = strconv.AppendUint(text, v, 10)
	}
	return text, nil
}

// UnmarshalText reads them back.
func (n *Numbers) UnmarshalText(text []byte) error {
	*n = Numbers{}
	for field := range bytes.FieldsSeq(text) {
		v, err := strconv.ParseUint(string(field), 10, 64)
		if err != nil {
			return fmt.Errorf("a histogram's counts: %w", err)
		}
		*n = append(*n, v)
	}
	return nil
}

// Sparse returns the histogram for a file.
func (h *Histogram) Sparse() *Sparse {
	s := &Sparse{Sum: h.sum, Max: h.max, Counts: Numbers{}}
	empty := uint64(0)
	for _, c := range h.counts {
		if c == 0 {
			empty++
			continue
		}
		s.Counts = append(s.Counts, empty, c)
		empty = 0
	}
	return s
}

// MergeSparse adds the counts of s. One that no histogram can have made is an
// error, and nothing is added.
func (h *Histogram) MergeSparse(s *Sparse) error {
	if len(s.Counts)%2 != 0 || s.Max < 0 {
		return errors.New("a histogram that is not made of pairs, or has a negative value")
	}
	var o Histogram
	at := uint64(0)
	for i := 0; i < len(s.Counts); i += 2 {
		empty, count := s.Counts[i], s.Counts[i+1]
		if empty >= steps || at+empty >= steps {
			return fmt.Errorf("a histogram of more than %d steps", steps)
		}
		at += empty
		o.counts[at] += count
		o.n += count
		at++
	}
	o.sum, o.max = s.Sum, s.Max
	h.Merge(&o)
	return nil
}
