package chart

import (
	"math"
	"strings"
	"testing"
)

func texts(ticks []Tick) string {
	var all []string
	for _, t := range ticks {
		all = append(all, t.Text)
	}
	return strings.Join(all, " | ")
}

func TestTicksAreWherePeopleExpectThem(t *testing.T) {
	for name, test := range map[string]struct {
		axis   Axis
		values []float64
		want   string
	}{
		"counts":            {Axis{Kind: Count}, []float64{3, 970}, "0 | 200 | 400 | 600 | 800 | 1000"},
		"large counts":      {Axis{Kind: Count}, []float64{1_234_567}, "0 | 500 k | 1 M | 1.5 M"},
		"very large counts": {Axis{Kind: Count}, []float64{4.1e9}, "0 | 1 G | 2 G | 3 G | 4 G | 5 G"},
		"one":               {Axis{Kind: Count}, []float64{1}, "0 | 1"},
		"nothing but zeros": {Axis{Kind: Count}, []float64{0, 0}, "0 | 1"},
		"no values":         {Axis{Kind: Count}, nil, "0 | 1"},
		"bytes":             {Axis{Kind: Bytes}, []float64{35 << 20}, "0 B | 10 MiB | 20 MiB | 30 MiB | 40 MiB"},
		"few bytes":         {Axis{Kind: Bytes}, []float64{700}, "0 B | 200 B | 400 B | 600 B | 800 B"},
		"seconds":           {Axis{Kind: Elapsed, High: 36}, nil, "0 s | 10 s | 20 s | 30 s"},
		"minutes":           {Axis{Kind: Elapsed, High: 200}, nil, "0 s | 1:00 | 2:00 | 3:00"},
		"hours":             {Axis{Kind: Elapsed, High: 14_000}, nil, "0 s | 1:00:00 | 2:00:00 | 3:00:00"},
		"days":              {Axis{Kind: Elapsed, High: 20 * 86400}, nil, "0 s | 96:00:00 | 192:00:00 | 288:00:00 | 384:00:00 | 480:00:00"},
		"milliseconds":      {Axis{Kind: Log}, []float64{6e5, 8e6}, "500µs | 1ms | 2ms | 5ms | 10ms"},
		"many decades":      {Axis{Kind: Log}, []float64{2e3, 9e8}, "10µs | 100µs | 1ms | 10ms | 100ms | 1s"},
		"one latency":       {Axis{Kind: Log}, []float64{1e6}, "1ms | 2ms | 5ms | 10ms"},
		"nines":             {Axis{Kind: Nines}, []float64{0, 0.999}, "0 | 90 | 99 | 99.9"},
	} {
		if got := texts(test.axis.scale(test.values).ticks); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

func TestValuesStandWithinTheirAxis(t *testing.T) {
	for _, kind := range []Kind{Count, Bytes, Elapsed, Log, Nines} {
		for _, values := range [][]float64{nil, {0}, {0.5}, {1, 1}, {0, 1e-12}, {1e300}, {5, 1e15}, {-3, 7}} {
			s := Axis{Kind: kind}.scale(values)
			if len(s.ticks) == 0 || len(s.ticks) > 400 {
				t.Errorf("%d of %v: %d ticks", kind, values, len(s.ticks))
			}
			for _, tick := range s.ticks {
				if tick.At < 0 || tick.At > 100 || math.IsNaN(tick.At) {
					t.Errorf("%d of %v: a tick at %v", kind, values, tick)
				}
			}
			for _, v := range values {
				if at := s.at(v); at < 0 || at > 1 || math.IsNaN(at) {
					t.Errorf("%d of %v: %v stands at %v", kind, values, v, at)
				}
			}
		}
	}
}

func TestALineIsInterruptedAtItsGaps(t *testing.T) {
	p := Layout(Spec{
		Lines: []Line{{Name: "n", Class: "a", Values: []Value{{0, 0}, {5, 10}, {6, Gap()}, {7, 5}, {8, math.Inf(1)}, {10, 0}}}},
		X:     Axis{Kind: Elapsed, High: 10}, Y: Axis{Kind: Count}, Area: true,
	})
	if d := p.Paths[0].D; d != "M0 1000L500 0M700 500h0.1M1000 1000h0.1" {
		t.Error(d)
	}
	if a := p.Paths[0].Area; !strings.HasPrefix(a, "M0 1000L0 1000L500 0L500 1000Z") {
		t.Error(a)
	}
	if p.Across(5) != 50 {
		t.Error(p.Across(5))
	}
}

func TestNothingToDrawIsAnEmptyPath(t *testing.T) {
	p := Layout(Spec{Lines: []Line{{Values: []Value{{1, Gap()}}}, {}}, Area: true})
	for _, path := range p.Paths {
		if path.D != "" || path.Area != "" {
			t.Errorf("%+v", path)
		}
	}
}
