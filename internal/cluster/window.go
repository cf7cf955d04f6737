package cluster

import "sync"

const (
	// windowSize is how many questions are remembered.
	windowSize = 4096
	// windowBytes bounds the answers that are remembered with them.
	windowBytes = 8 << 20
)

// question is one question of one instance.
type question struct {
	from string // incarnation
	id   uint64
}

// window remembers the questions that came last, so that each is worked on
// once. Safe for concurrent use.
type window struct {
	mu      sync.Mutex
	answers map[question][]byte // guarded by mu; nil: being worked on
	order   []question          // guarded by mu, oldest first
	bytes   int                 // guarded by mu, of answers
}

func newWindow() *window { return &window{answers: map[question][]byte{}} }

// enter notes a question; first is false for one that is known, whose answer
// is nil while it is worked on.
func (w *window) enter(q question) (answer []byte, first bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if answer, known := w.answers[q]; known {
		return answer, false
	}
	w.answers[q] = nil
	w.order = append(w.order, q)
	w.shrink()
	return nil, true
}

// keep remembers the answer to a question.
func (w *window) keep(q question, answer []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.answers[q]; !known {
		return // so many came since that it is forgotten
	}
	w.answers[q] = answer
	w.bytes += len(answer)
	w.shrink()
}

// shrink forgets the oldest. Called with mu held.
func (w *window) shrink() {
	for len(w.order) > windowSize || w.bytes > windowBytes && len(w.order) > 1 {
		w.bytes -= len(w.answers[w.order[0]])
		delete(w.answers, w.order[0])
		w.order = w.order[1:]
	}
}
