package fleet

import (
	"context"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/codec/socketio"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/jsonscan"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Bounds of a question.
const (
	// MinWait and MaxWait bound how long clients may take to answer.
	MinWait = time.Second
	MaxWait = 30 * time.Second

	// maxAsked bounds the connections that one instance asks at once.
	maxAsked = 1000
)

// Question is an event that clients are to acknowledge.
type Question struct {
	Event string
	Data  []byte        // JSON; nil: null
	Wait  time.Duration // for the answers, from MinWait to MaxWait
}

// Silence is why a connection has not answered.
type Silence string

// The reasons.
const (
	Late     Silence = "timeout"             // not in time
	Gone     Silence = "gone"                // it ended first
	Mute     Silence = "no_acknowledgements" // its protocol has none; it was not asked
	Busy     Silence = "limit_exceeded"      // it, or its instance, has too many questions to answer; it was not asked
	Oversize Silence = "too_large"           // all answers together are more than can be held or passed on
)

// Answer is what came of asking one connection.
type Answer struct {
	Connection string  `json:"connection"`
	Data       []byte  `json:"data,omitempty"` // JSON; nil: the client acknowledged without an argument
	Silence    Silence `json:"silence,omitempty"`
}

// Answers are what came of a question.
type Answers struct {
	Answers []Answer // of every connection that is meant, by its id
	// Fault is why others of those meant were not asked, nil without a reason.
	Fault error
	// Missing are the names of instances that did not say whom they asked.
	Missing []string
}

var (
	errWait  = wire.NewError(wire.InvalidMessage, "the time for answers is from 1 s to 30 s")
	errData  = wire.NewError(wire.InvalidMessage, "the data is not JSON")
	errName  = wire.NewError(wire.InvalidMessage, "the Socket.IO protocol keeps this event name to itself")
	errCrowd = wire.NewError(wire.LimitExceeded, "the user has more than 1000 connections on an instance")
)

func (q Question) check(to router.Target) error {
	switch {
	case (to.User == "") == (to.Connection == ""):
		return errTarget
	case q.Wait < MinWait || q.Wait > MaxWait:
		return errWait
	case q.Data != nil && jsonscan.Valid(q.Data) != nil:
		return errData
	case socketio.Reserved(q.Event):
		return errName
	}
	return wire.CheckPublishable(q.Event)
}

// Ask asks a connection, or all that a user has at this moment, and waits until
// all have answered, the time is over, or ctx ends. An instance that dies
// meanwhile leaves its connections without an answer. Only clients of Socket.IO
// can be asked. Errors are wire.Errors when nobody could be asked, Conflict when
// that is for the clients' protocol, or router.ErrNoConnection.
func (f *Fleet) Ask(ctx context.Context, to router.Target, q Question) (Answers, error) {
	if err := q.check(to); err != nil {
		return Answers{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, q.Wait)
	defer cancel()
	g, err := f.gather()
	if err != nil {
		return Answers{}, err
	}
	defer f.gathered(g)
	own := f.interview(sessions(f.parts.Hub, to), to, q, g.take)
	defer own.withdraw()
	var h heard[begun]
	if own.Absent || to.User != "" {
		h = f.askElsewhere(ctx, to, q, g.key)
	}
	if wire.IsCode(h.err, wire.TooLarge) {
		return Answers{}, h.err
	}
	all := append(h.answers, own.begun)
	g.expect(all)
	g.wait(ctx)
	return g.result(all, h.missing, h.err)
}

// askElsewhere has the other instances ask. They tell of answers under a key.
func (f *Fleet) askElsewhere(ctx context.Context, to router.Target, q Question, key uint64) heard[begun] {
	if f.parts.Bus == nil {
		return heard[begun]{}
	}
	return askOthers[begun](ctx, f, kindAsk, asking{
		User: to.User, Connection: to.Connection, Event: q.Event, Data: q.Data, WaitMs: q.Wait.Milliseconds(),
		Key: key, ReplyTo: f.parts.Bus.Address(),
	})
}

// begun is whom an instance has asked.
type begun struct {
	Asked   []string `json:"asked,omitempty"`   // of which answers will come
	Refused []Answer `json:"refused,omitempty"` // those that were not
	Absent  bool     `json:"absent,omitempty"`  // the instance does not have the one connection that is meant
	Fault   *failure `json:"fault,omitempty"`
}

// interview is the part of a question that concerns this instance.
type interview struct {
	begun
	end []func()
}

// interview asks the connections of a target that are here. put takes the
// answers, one of each at most, with locks held: it must not block.
func (f *Fleet) interview(all []*session.Session, to router.Target, q Question, put func(Answer)) *interview {
	i := &interview{}
	switch {
	case len(all) == 0 && to.Connection != "":
		i.Absent = true
	case len(all) > maxAsked:
		i.Fault = f.faultOf(errCrowd)
	default:
		for _, s := range all {
			i.ask(s, q, put)
		}
	}
	return i
}

// sessions are those of this instance that are meant.
func sessions(h *hub.Hub, to router.Target) []*session.Session {
	if to.User != "" {
		return h.Connections(to.User)
	}
	if s := h.Session(to.Connection); s != nil {
		return []*session.Session{s}
	}
	return nil
}

// ask asks one connection.
func (i *interview) ask(s *session.Session, q Question, put func(Answer)) {
	id := s.ID()
	end, err := s.Ask(q.Event, q.Data, func(data []byte, err error) {
		a := Answer{Connection: id, Data: data}
		if err != nil {
			a = Answer{Connection: id, Silence: Gone}
		}
		put(a)
	})
	switch {
	case err == nil:
		i.Asked = append(i.Asked, id)
		i.end = append(i.end, end)
	case wire.IsCode(err, wire.Conflict):
		i.Refused = append(i.Refused, Answer{Connection: id, Silence: Mute})
	case wire.IsCode(err, wire.LimitExceeded):
		i.Refused = append(i.Refused, Answer{Connection: id, Silence: Busy})
	default:
		i.Refused = append(i.Refused, Answer{Connection: id, Silence: Gone})
	}
}

// withdraw waits for answers no longer.
func (i *interview) withdraw() {
	for _, end := range i.end {
		end()
	}
}
