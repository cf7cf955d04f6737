package hdr

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestQuantilesAreWithinOnePercent(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	tests := map[string]func() int64{
		"uniform microseconds":   func() int64 { return rnd.Int64N(1_000_000) },
		"exponential":            func() int64 { return int64(rnd.ExpFloat64() * 5e6) },
		"tiny":                   func() int64 { return rnd.Int64N(200) },
		"minutes":                func() int64 { return rnd.Int64N(int64(20 * time.Minute)) },
		"two values far apart":   func() int64 { return []int64{1000, 2_000_000_000}[rnd.IntN(2)] },
		"all the same":           func() int64 { return 123_456_789 },
		"one in thousand slower": func() int64 { return []int64{1_000, 900_000}[min(rnd.IntN(1000), 1)^1] },
	}
	for name, next := range tests {
		t.Run(name, func(t *testing.T) {
			var h Histogram
			values := make([]int64, 50_000)
			for i := range values {
				values[i] = next()
				h.Record(values[i])
			}
			slices.Sort(values)
			for _, q := range []float64{0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 1} {
				exact := values[max(int(q*float64(len(values))+0.5), 1)-1]
				got := int64(h.Quantile(q))
				if got < exact || float64(got-exact) > 0.008*float64(exact)+1 {
					t.Errorf("q%v: got %d, exactly %d", q, got, exact)
				}
			}
			if int64(h.Max()) != values[len(values)-1] || h.Count() != uint64(len(values)) {
				t.Errorf("max %v count %d", h.Max(), h.Count())
			}
		})
	}
}

func TestStepsAreContiguous(t *testing.T) {
	for i := range steps - 1 {
		if index(upper(i)) != i || index(upper(i)+1) != i+1 {
			t.Fatalf("step %d ends at %d, which falls into %d; the next value into %d",
				i, upper(i), index(upper(i)), index(upper(i)+1))
		}
	}
}

func TestMergeEqualsRecordingTogether(t *testing.T) {
	var a, b, both Histogram
	for i := range int64(10_000) {
		if i%3 == 0 {
			a.Record(i * 997)
		} else {
			b.Record(i * 997)
		}
		both.Record(i * 997)
	}
	a.Merge(&b)
	if a != both {
		t.Error("merged differs")
	}
	both.Reset()
	if both.Summary() != (Summary{}) {
		t.Error("not empty after reset")
	}
}

func TestOutOfRangeValuesAreKept(t *testing.T) {
	var h Histogram
	h.Record(-5)
	h.Record(1 << 60)
	if h.Quantile(0.1) != 0 || h.Max() != 1<<60 || h.Count() != 2 {
		t.Error(h.Summary())
	}
}

func BenchmarkRecord(b *testing.B) {
	var h Histogram
	for i := range b.N {
		h.Record(int64(i) & 0xFFFFF)
	}
}

func TestASparseHistogramIsTheSameAgain(t *testing.T) {
	for name, values := range map[string][]int64{
		"empty": nil, "one": {12345}, "many": {0, 0, 1, 127, 128, 5_000_000, 5_000_001, 1 << 40}, "out of range": {1 << 60},
	} {
		t.Run(name, func(t *testing.T) {
			var h, back Histogram
			for _, v := range values {
				h.Record(v)
			}
			b, err := json.Marshal(h.Sparse())
			if err != nil {
				t.Fatal(err)
			}
			var s Sparse
			if err := json.Unmarshal(b, &s); err != nil {
				t.Fatal(err)
			}
			if err := back.MergeSparse(&s); err != nil || back != h {
				t.Errorf("%v: %v, want %v", err, back.Summary(), h.Summary())
			}
		})
	}
}

func TestAMalformedSparseHistogramIsRefused(t *testing.T) {
	for name, s := range map[string]Sparse{
		"half a pair":    {Counts: []uint64{3}},
		"too many steps": {Counts: []uint64{steps, 1}},
		"steps overflow": {Counts: []uint64{1<<64 - 1, 1}},
		"negative":       {Max: -1},
	} {
		var h Histogram
		if h.MergeSparse(&s) == nil || h.Count() != 0 {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestMalformedCountsAreRefused(t *testing.T) {
	for _, text := range []string{`{"counts":"1 x"}`, `{"counts":"-1"}`, `{"counts":"99999999999999999999"}`, `{"counts":[1]}`} {
		if err := json.Unmarshal([]byte(text), new(Sparse)); err == nil {
			t.Errorf("%s: taken", text)
		}
	}
}
