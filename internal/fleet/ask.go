package fleet

import (
	"context"
	"encoding/json"
	"errors"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// The kinds of questions. Questions and answers are JSON objects; fields that
// an older instance does not know are ignored by it.
const (
	kindSend        = "fleet.send"
	kindSubscribe   = "fleet.subscribe"
	kindUnsubscribe = "fleet.unsubscribe"
	kindDisconnect  = "fleet.disconnect"
	kindRevoke      = "fleet.revoke"
	kindConnection  = "fleet.connection"
	kindConnections = "fleet.connections"
	kindMembers     = "fleet.members"
	kindSeats       = "fleet.seats"
	kindRebalance   = "fleet.rebalance"
	kindDrain       = "fleet.drain"
	kindStatistics  = "fleet.statistics"
	kindAsk         = "fleet.ask"
	kindAnswer      = "fleet.answer"
)

// answerer answers one kind of question for this instance. It may be called
// concurrently.
type answerer[Q, A any] func(ctx context.Context, q Q) A

// serve lets other instances ask this one.
func serve[Q, A any](f *Fleet, kind string, answer answerer[Q, A]) {
	f.parts.Bus.Handle(kind, func(ctx context.Context, payload []byte) []byte {
		var q Q
		if err := json.Unmarshal(payload, &q); err != nil {
			f.parts.Log.Warn("question of another instance not understood", zap.String("kind", kind))
			return nil
		}
		b, err := json.Marshal(answer(ctx, q))
		if err != nil {
			return nil // not reached: answers are plain data
		}
		return b
	})
}

// heard is what came of a question to the other instances.
type heard[A any] struct {
	answers []A
	missing []string // names of those that have not answered, or not understandably
	err     error    // a wire.Error: why the question was not asked at all
}

// askOthers asks the other instances.
func askOthers[A, Q any](ctx context.Context, f *Fleet, kind string, q Q) (h heard[A]) {
	if f.parts.Bus == nil {
		return h
	}
	payload, err := json.Marshal(q)
	if err != nil {
		return h // not reached: questions are plain data
	}
	got, err := f.parts.Bus.Ask(ctx, kind, payload)
	h.missing, h.err = got.Missing, err
	for _, reply := range got.Replies {
		var a A
		if reply.Err != nil || json.Unmarshal(reply.Data, &a) != nil {
			h.missing = append(h.missing, reply.Instance)
			continue
		}
		h.answers = append(h.answers, a)
	}
	return h
}

// failure is an error on its way to another instance. Only what clients may see
// travels.
type failure struct {
	Code    wire.Code `json:"code"`
	Message string    `json:"message"`
	Reason  string    `json:"reason,omitempty"`
}

// faultOf makes an error fit for travel; what is not for clients is logged here.
func (f *Fleet) faultOf(err error) *failure {
	if err == nil {
		return nil
	}
	known := f.faults.Report(err, zap.String("of", "fleet"))
	return &failure{known.Code, known.Message, known.Reason}
}

// err is the error that arrived, nil without one.
func (t *failure) err() error {
	if t == nil {
		return nil
	}
	return &wire.Error{Code: t.Code, Message: t.Message, Reason: t.Reason}
}

// outcome is what an act has done on one instance.
type outcome struct {
	Connections int `json:"connections"`
	// Absent says that the instance does not have the one connection that is
	// meant.
	Absent bool     `json:"absent,omitempty"`
	Fault  *failure `json:"fault,omitempty"`
}

// outcomeOf is the outcome of an act of this instance's router.
func (f *Fleet) outcomeOf(n int, err error) outcome {
	if errors.Is(err, router.ErrNoConnection) {
		return outcome{Absent: true}
	}
	return outcome{Connections: n, Fault: f.faultOf(err)}
}

// Reached is what a request has done in the fleet.
type Reached struct {
	// Connections counts those that were reached.
	Connections int
	// Fault is why others of those meant were not, nil without a reason.
	Fault error
	// Missing are the names of instances that did not answer: what became of
	// their connections is not known.
	Missing []string
}

// errMissing is told when what is meant may be on an instance that did not
// answer.
var errMissing = wire.NewError(wire.Unavailable, "not all instances have answered, and the connection is on none of the others: try again")

// together puts the outcomes of all instances together, where fault is why the
// others could not be asked. The error is router.ErrNoConnection, Unavailable, or
// that of the instances, or fault, when none has reached anything.
func together(outcomes []outcome, missing []string, fault error) (Reached, error) {
	r := Reached{Missing: missing}
	if len(missing) == 0 {
		r.Fault = fault // else it is said by naming them
	}
	absent := 0
	for _, o := range outcomes {
		r.Connections += o.Connections
		if o.Absent {
			absent++
		}
		if r.Fault == nil {
			r.Fault = o.Fault.err()
		}
	}
	switch {
	case absent == len(outcomes):
		return Reached{}, errAbsent(missing, fault)
	case r.Connections == 0 && r.Fault != nil:
		return Reached{}, r.Fault
	}
	return r, nil
}

// errAbsent is what is told of a connection that none has of those that answered.
func errAbsent(missing []string, fault error) error {
	switch {
	case len(missing) > 0:
		return errMissing
	case fault != nil:
		return fault
	}
	return router.ErrNoConnection
}
