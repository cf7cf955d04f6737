package fleet

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

const (
	// maxGatherings bounds the questions of this instance that are under way.
	maxGatherings = 4096
	// maxAnswerBytes bounds the answers to one question, but for the first.
	maxAnswerBytes = 4 << 20
	// maxHeldBytes bounds the answers that are held for all questions.
	maxHeldBytes = 64 << 20
)

// gatherings are the questions of this instance that are under way.
type gatherings struct {
	held atomic.Int64 // bytes of answers

	mu   sync.Mutex
	all  map[uint64]*gathering // guarded by mu
	next uint64                // guarded by mu
}

// gathering collects the answers to one question.
type gathering struct {
	key  uint64
	held *atomic.Int64 // of all gatherings

	// changed has something when it is time to look.
	changed chan struct{}

	mu      sync.Mutex          // taken with locks of sockets held; nothing is called under it
	answers map[string]Answer   // guarded by mu: that have come, by connection
	waiting map[string]struct{} // guarded by mu: connections that have been asked and have not answered
	bytes   int                 // guarded by mu: of answers
	ended   bool                // guarded by mu: takes no more
}

var errQuestions = wire.NewError(wire.LimitExceeded, "too many questions to clients are under way")

// gather begins to collect answers. Who calls it calls gathered in the end.
func (f *Fleet) gather() (*gathering, error) {
	all := &f.gatherings
	all.mu.Lock()
	defer all.mu.Unlock()
	if len(all.all) >= maxGatherings {
		return nil, errQuestions
	}
	all.next++
	g := &gathering{
		key: all.next, held: &all.held, changed: make(chan struct{}, 1),
		answers: map[string]Answer{}, waiting: map[string]struct{}{},
	}
	all.all[g.key] = g
	return g, nil
}

// gathered ends that.
func (f *Fleet) gathered(g *gathering) {
	f.gatherings.mu.Lock()
	delete(f.gatherings.all, g.key)
	f.gatherings.mu.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended = true
	g.held.Add(-int64(g.bytes))
}

// find returns the question of a key, nil when it is over.
func (all *gatherings) find(key uint64) *gathering {
	all.mu.Lock()
	defer all.mu.Unlock()
	return all.all[key]
}

// take takes what came of asking a connection; what comes twice counts once.
func (g *gathering) take(a Answer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, twice := g.answers[a.Connection]; twice || g.ended {
		return
	}
	if n := len(a.Data); g.bytes > 0 && g.bytes+n > maxAnswerBytes || g.held.Load()+int64(n) > maxHeldBytes {
		a = Answer{Connection: a.Connection, Silence: Oversize}
	} else {
		g.bytes += n
		g.held.Add(int64(n))
	}
	g.answers[a.Connection] = a
	delete(g.waiting, a.Connection)
	select {
	case g.changed <- struct{}{}:
	default: // it is going to be looked at
	}
}

// expect notes who was asked.
func (g *gathering) expect(all []begun) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, b := range all {
		for _, id := range b.Asked {
			if _, came := g.answers[id]; !came {
				g.waiting[id] = struct{}{}
			}
		}
	}
}

// wait waits until all have answered, or ctx ends.
func (g *gathering) wait(ctx context.Context) {
	for !g.whole() {
		select {
		case <-g.changed:
		case <-ctx.Done():
			return
		}
	}
}

func (g *gathering) whole() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.waiting) == 0
}

// result is what has come of the question. fault is why others could not be
// asked.
func (g *gathering) result(all []begun, missing []string, fault error) (Answers, error) {
	out := Answers{Missing: missing, Answers: g.list()}
	if len(missing) == 0 {
		out.Fault = fault // else it is said by naming them
	}
	absent := 0
	for _, b := range all {
		if b.Absent {
			absent++
		}
		if out.Fault == nil {
			out.Fault = b.Fault.err()
		}
		out.Answers = append(out.Answers, b.Refused...)
	}
	slices.SortFunc(out.Answers, func(a, b Answer) int { return cmp.Compare(a.Connection, b.Connection) })
	switch {
	case len(out.Answers) > 0:
		return out, errSilent(out.Answers)
	case absent == len(all):
		return Answers{}, errAbsent(missing, fault)
	case out.Fault != nil:
		return Answers{}, out.Fault
	}
	return out, nil
}

// list is what has come, and of whom nothing has.
func (g *gathering) list() []Answer {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make([]Answer, 0, len(g.answers)+len(g.waiting))
	for _, a := range g.answers {
		out = append(out, a)
	}
	for id := range g.waiting {
		out = append(out, Answer{Connection: id, Silence: Late})
	}
	return out
}

// errSilent is why nobody was asked, when that is for one reason.
func errSilent(all []Answer) error {
	first := all[0].Silence
	if slices.ContainsFunc(all, func(a Answer) bool { return a.Silence != first }) {
		return nil
	}
	switch first {
	case Mute:
		return session.ErrMute
	case Busy:
		return errBusy
	}
	return nil
}

var errBusy = wire.NewError(wire.LimitExceeded, "too many questions to clients are not answered yet")

// asking is a question to another instance.
type asking struct {
	User       string `json:"user,omitempty"`
	Connection string `json:"connection,omitempty"`
	Event      string `json:"event"`
	Data       []byte `json:"data,omitempty"`
	WaitMs     int64  `json:"waitMs"`
	Key        uint64 `json:"key"`
	ReplyTo    string `json:"replyTo"` // address on the bus
}

// told is an answer on its way to who asked.
type told struct {
	Key    uint64 `json:"key"`
	Answer Answer `json:"answer"`
}

// asked answers another instance's question with whom it has asked; what they
// answer follows.
func (f *Fleet) asked(_ context.Context, a asking) begun {
	to, q := router.Target{User: a.User, Connection: a.Connection}, a.question()
	if err := q.check(to); err != nil {
		return begun{Fault: f.faultOf(err)}
	}
	all := sessions(f.parts.Hub, to)
	answers := make(chan Answer, len(all)) // as many as come at most
	i := f.interview(all, to, q, func(one Answer) { answers <- one })
	if len(i.Asked) > 0 && !f.spawn(func(ctx context.Context) { f.relay(ctx, i, a, answers) }) {
		i.withdraw()
		return begun{Absent: a.Connection != ""}
	}
	return i.begun
}

// question is what is to be asked.
func (a asking) question() Question {
	return Question{Event: a.Event, Data: a.Data, Wait: time.Duration(a.WaitMs) * time.Millisecond}
}

// relay tells who asked of the answers, until all have come or the time is over.
func (f *Fleet) relay(ctx context.Context, i *interview, a asking, answers <-chan Answer) {
	ctx, cancel := context.WithTimeout(ctx, a.question().Wait)
	defer cancel()
	defer i.withdraw()
	for range i.Asked {
		select {
		case one := <-answers:
			f.tell(ctx, a, one)
		case <-ctx.Done():
			return
		}
	}
}

// tell tells who asked of one answer. What is lost is late there.
func (f *Fleet) tell(ctx context.Context, a asking, one Answer) {
	for _, t := range []told{{a.Key, one}, {a.Key, Answer{Connection: one.Connection, Silence: Oversize}}} {
		payload, err := json.Marshal(t)
		if err != nil {
			return // not reached: plain data
		}
		if err := f.parts.Bus.TellOne(ctx, a.ReplyTo, kindAnswer, payload); !wire.IsCode(err, wire.TooLarge) {
			return // told, or the bus is away
		}
	}
}

// answered takes an answer that a client has given another instance.
func (f *Fleet) answered(_ context.Context, t told) struct{} {
	if g := f.gatherings.find(t.Key); g != nil {
		g.take(t.Answer)
	}
	return struct{}{}
}
