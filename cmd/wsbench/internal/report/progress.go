package report

import "time"

// View shows what goes on. Its methods are called by one goroutine.
type View interface {
	// Show shows the state; about once a second, and when a phase begins.
	Show(Status)
	// Done ends the view.
	Done()
}

// Status is where a run is.
type Status struct {
	Point
	Elapsed time.Duration `json:"elapsed_ns"` // in the phase
	Lasts   time.Duration `json:"lasts_ns"`   // the phase's length; 0: until something has happened
}

// Progress makes the time series of a run and shows it as it grows. It belongs
// to one goroutine.
type Progress struct {
	view    View
	status  Status
	started time.Time
	began   time.Time // of the phase
	last    time.Time // when the last point was made
	fresh   bool      // the phase has not been shown yet
	before  string    // the phase before
	points  []Point
	least   float64 // a point that is shorter, in seconds, takes up the next one
}

// The time between points, and the shortest: rates over less mean nothing.
const (
	step      = time.Second
	shortStep = step / 4
)

// NewProgress begins a series and shows it in v; nil is silence.
func NewProgress(v View) *Progress {
	if v == nil {
		v = silence{}
	}
	now := time.Now()
	return &Progress{view: v, started: now, began: now, last: now, status: Status{Point: Point{Target: "gateway"}}}
}

type silence struct{}

func (silence) Show(Status) {}
func (silence) Done()       {}

// Target says which run the following points belong to; at first "gateway".
func (p *Progress) Target(name string) { p.status.Target = name }

// Phase begins a phase of unknown length.
func (p *Progress) Phase(name string) {
	p.before = p.status.Phase
	p.status.Phase, p.status.Lasts, p.began, p.fresh = name, 0, time.Now(), true
}

// Lasts says how long what goes on from now will take.
func (p *Progress) Lasts(d time.Duration) {
	p.status.Lasts = time.Since(p.began) + d
}

// Due reports whether it is time for the next point.
func (p *Progress) Due() bool {
	since := time.Since(p.last)
	return since >= step || p.fresh && since >= shortStep
}

// Add takes the next point of the series and shows it. Its phase and target
// are those that have been told; a time of 0 is now.
func (p *Progress) Add(next Point) {
	if next.At == 0 {
		next.At = time.Since(p.started).Seconds()
	}
	p.fresh, p.last = false, time.Now()
	next.Phase, next.Target = p.status.Phase, p.status.Target
	p.status.Point, p.status.Elapsed = next, time.Since(p.began)
	if p.before != "" && p.status.Elapsed.Seconds() < next.Span/2 {
		next.Phase = p.before // most of the step was in it
	}
	p.keep(next)
	p.view.Show(p.status)
}

// keep appends the point, or adds it to the last one while that is too short
// for a series of this length.
func (p *Progress) keep(next Point) {
	if n := len(p.points); n > 0 && p.points[n-1].Span < p.least && p.points[n-1].Target == next.Target {
		p.points[n-1] = join(p.points[n-1], next)
		return
	}
	if p.points = append(p.points, next); len(p.points) >= MaxPoints {
		p.points = thin(p.points)
		p.least = max(2*p.least, 1.5*step.Seconds())
	}
}

// Series returns the points so far, at most MaxPoints.
func (p *Progress) Series() []Point { return p.points }

// Done ends the view.
func (p *Progress) Done() { p.view.Done() }
