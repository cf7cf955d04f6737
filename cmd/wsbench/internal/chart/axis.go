package chart

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Axis says what stands on one side of a chart.
type Axis struct {
	Kind  Kind
	Label func(v float64) string // nil: the kind's
	// Low and High bound the axis if High is above Low; else the values do.
	Low, High float64
}

// Kind is what an axis measures, and so where its ticks are.
type Kind int

// The kinds of axes.
const (
	Count   Kind = iota // from 0, in decimal steps
	Bytes               // from 0, in binary steps
	Elapsed             // seconds since the beginning
	Log                 // nanoseconds, logarithmic
	Nines               // a quantile from 0 to below 1, one step for each nine; labelled in percent
)

// MaxNines is how far an axis of nines goes: five are 99.999 %.
const MaxNines = 5

// scale maps values to 0 (left, bottom) … 1.
type scale struct {
	at    func(v float64) float64
	ticks []Tick
}

// wanted is how many steps an axis should have at most.
const wanted = 5

func (a Axis) scale(values []float64) scale {
	low, high := bounds(values)
	if a.High > a.Low {
		low, high = a.Low, a.High
	}
	switch a.Kind {
	case Log:
		return a.log(low, high)
	case Nines:
		return a.nines(high)
	case Elapsed:
		return a.linear(low, high, elapsedStep(high-low), false)
	case Bytes:
		return a.linear(0, high, bytesStep(high), true)
	default:
		return a.linear(0, high, max(decimalStep(high/wanted), 1), true)
	}
}

func bounds(values []float64) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, v := range values {
		low, high = min(low, v), max(high, v)
	}
	if len(values) == 0 {
		return 0, 1
	}
	return low, high
}

// linear has a tick at every multiple of step; nothing here is negative. It ends
// with a tick if whole.
func (a Axis) linear(low, high, step float64, whole bool) scale {
	if step <= 0 {
		step = 1
	}
	if whole {
		high = max(math.Ceil(high/step-1e-9), 1) * step
	}
	if high <= low {
		high = max(low+step, 2*low)
	}
	s := scale{at: func(v float64) float64 { return clamp((v - low) / (high - low)) }}
	for n := max(math.Ceil(low/step-1e-9), 0); n*step <= high*(1+1e-9) && len(s.ticks) <= 2*wanted+2; n++ {
		s.ticks = append(s.ticks, Tick{100 * s.at(n*step), a.text(n * step)})
	}
	return s
}

// log goes from a nice value below to one above.
func (a Axis) log(low, high float64) scale {
	low = niceBelow(max(low, 1))
	high = max(niceAbove(high), 10*low)
	span := math.Log10(high / low)
	s := scale{at: func(v float64) float64 { return clamp(math.Log10(max(v, low)/low) / span) }}
	digits := []float64{1, 2, 5}
	if span > 2.2 {
		digits = digits[:1]
	}
	for e := math.Floor(math.Log10(low)); e <= math.Ceil(math.Log10(high)); e++ {
		for _, d := range digits {
			if v := d * math.Pow(10, e); v >= low*0.999 && v <= high*1.001 {
				s.ticks = append(s.ticks, Tick{100 * s.at(v), a.text(v)})
			}
		}
	}
	return s
}

// nines has a tick at 0, 0.9, 0.99 and so on, as far as the values go.
func (a Axis) nines(high float64) scale {
	far := clampTo(-math.Log10(max(1-high, 1e-9)), 1, MaxNines)
	s := scale{at: func(v float64) float64 { return clamp(-math.Log10(max(1-v, 1e-9)) / far) }}
	for n := 0; float64(n) <= far+1e-6; n++ {
		v := 1 - math.Pow(10, -float64(n))
		s.ticks = append(s.ticks, Tick{100 * s.at(v), a.text(v)})
	}
	return s
}

func clamp(v float64) float64 { return clampTo(v, 0, 1) }

func clampTo(v, low, high float64) float64 { return min(max(v, low), high) }

// decimalStep is the smallest of 1, 2, 5 times a power of ten that is not below
// v.
func decimalStep(v float64) float64 {
	if v <= 0 {
		return 1
	}
	return niceAbove(v)
}

func niceAbove(v float64) float64 {
	base := math.Pow(10, math.Floor(math.Log10(v)))
	for _, d := range []float64{1, 2, 5} {
		if d*base >= v*(1-1e-9) {
			return d * base
		}
	}
	return 10 * base
}

func niceBelow(v float64) float64 {
	base := math.Pow(10, math.Floor(math.Log10(v)*(1+1e-12)))
	for _, d := range []float64{5, 2} {
		if d*base <= v*(1+1e-9) {
			return d * base
		}
	}
	return base
}

// bytesStep is nice in the unit that the largest value is shown in.
func bytesStep(high float64) float64 {
	unit := 1.0
	for unit < 1<<40 && high >= 1024*unit {
		unit *= 1024
	}
	return max(decimalStep(high/unit/wanted)*unit, 1)
}

// elapsedStep is one that clocks have.
func elapsedStep(seconds float64) float64 {
	for _, s := range []float64{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200} {
		if seconds/s <= wanted+1 {
			return s
		}
	}
	return math.Ceil(seconds/wanted/86400) * 86400
}

func (a Axis) text(v float64) string {
	if a.Label != nil {
		return a.Label(v)
	}
	switch a.Kind {
	case Bytes:
		return bytesText(v)
	case Elapsed:
		return elapsedText(v)
	case Log:
		return time.Duration(v).String()
	case Nines:
		return percentText(v)
	default:
		return countText(v)
	}
}

func bytesText(v float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for ; v >= 1024 && i < len(units)-1; i++ {
		v /= 1024
	}
	return trim(v) + " " + units[i]
}

func elapsedText(v float64) string {
	if v < 60 {
		return trim(v) + " s"
	}
	s := int64(v)
	if s < 3600 {
		return fmt.Sprintf("%d:%02d", s/60, s%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}

func percentText(v float64) string {
	return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%.4f", 100*v), "0"), ".")
}

func countText(v float64) string {
	switch {
	case v >= 1e9:
		return trim(v/1e9) + " G"
	case v >= 1e6:
		return trim(v/1e6) + " M"
	case v >= 1e4:
		return trim(v/1e3) + " k"
	default:
		return trim(v)
	}
}

func trim(v float64) string {
	return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%.2f", v), "0"), ".")
}
