package cluster

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// envelope is one message between instances.
type envelope struct {
	Version int    `json:"v"`
	Type    string `json:"t"`
	ID      uint64 `json:"id,omitempty"`   // of the question, by who asked
	From    string `json:"from"`           // incarnation
	Name    string `json:"name,omitempty"` // of an answer: INSTANCE_ID
	Kind    string `json:"kind,omitempty"`
	Data    []byte `json:"data,omitempty"`
	Fault   string `json:"fault,omitempty"` // of an answer
}

const envelopeVersion = 1

// The types of an envelope.
const (
	typeAsk    = "ask"
	typeAnswer = "answer"
	typeTell   = "tell" // nobody answers
)

// The faults of an answer.
const (
	faultUnknown  = "unknown_kind"
	faultTooLarge = "too_large"
)

func (e envelope) encode() []byte {
	b, err := json.Marshal(e)
	if err != nil {
		return nil // not reached: strings, numbers and bytes
	}
	return b
}

// Reply is one instance's answer.
type Reply struct {
	Instance    string // INSTANCE_ID
	Incarnation string
	Data        []byte
	// Err is ErrUnknownKind or ErrTooLarge when there is no answer.
	Err error
}

// Answers is what the other instances have answered.
type Answers struct {
	// Replies are in no order. An instance that has come a moment ago may be
	// among them, or not.
	Replies []Reply
	// Missing names, by INSTANCE_ID, the instances that live as far as is
	// known, or may live still, and have not answered in time.
	Missing []string
}

var (
	errQuestionSize = wire.NewError(wire.TooLarge, "this is more than instances can tell each other")
	errBusy         = wire.NewError(wire.Unavailable, "too many questions to the other instances are under way")
	errAway         = wire.NewError(wire.Unavailable, "the other instances cannot be asked now")
)

// Ask asks every other instance, not this one, and waits until those that live
// have answered, 700 ms at most, or until ctx ends. Those that have not answered
// are asked once more meanwhile; each works on a question once. With an error,
// which is a wire.Error, nobody may have heard of it: all are Missing.
func (b *Bus) Ask(ctx context.Context, kind string, payload []byte) (Answers, error) {
	switch {
	case b.carrier == nil:
		return Answers{}, nil
	case len(payload) > maxPayload:
		return Answers{}, errQuestionSize
	}
	others := append(b.registry.Others(), b.registry.Unheard()...)
	id, replies, ok := b.open(len(others))
	if !ok {
		return Answers{Missing: names(others)}, errBusy
	}
	defer b.close(id)
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	message := envelope{
		Version: envelopeVersion, Type: typeAsk, ID: id, From: b.registry.incarnation, Kind: kind, Data: payload,
	}.encode()
	b.stats.asked.Add(1)
	if err := b.carrier.Notify(ctx, fleetRoom, message); err != nil {
		b.stats.missing.Add(int64(len(others)))
		return Answers{Missing: names(others)}, errAway
	}
	return b.collect(ctx, others, message, replies), nil
}

// Tell tells every other instance something that none answers. It may be lost.
// The error is a wire.Error.
func (b *Bus) Tell(ctx context.Context, kind string, payload []byte) error {
	switch {
	case b.carrier == nil:
		return nil
	case len(payload) > maxPayload:
		return errQuestionSize
	}
	return b.tell(ctx, fleetRoom, kind, payload)
}

// Address is what TellOne of another instance finds this one by.
func (b *Bus) Address() string { return b.registry.incarnation }

// TellOne is Tell to one instance, by its Address. Nobody says when there is no
// such instance any more.
func (b *Bus) TellOne(ctx context.Context, address, kind string, payload []byte) error {
	switch {
	case b.carrier == nil:
		return nil
	case len(payload) > maxPayload:
		return errQuestionSize
	}
	return b.tell(ctx, roomOf(address), kind, payload)
}

func (b *Bus) tell(ctx context.Context, room, kind string, payload []byte) error {
	message := envelope{Version: envelopeVersion, Type: typeTell, From: b.registry.incarnation, Kind: kind, Data: payload}.encode()
	if err := b.carrier.Notify(ctx, room, message); err != nil {
		return errAway
	}
	return nil
}

// open begins to wait for answers of about n instances.
func (b *Bus) open(n int) (id uint64, replies chan envelope, ok bool) {
	const more = 16 // instances that are not known yet, and answers that come twice
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.asks) >= maxAsks {
		return 0, nil, false
	}
	b.next++
	replies = make(chan envelope, 2*n+more)
	b.asks[b.next] = replies
	return b.next, replies, true
}

func (b *Bus) close(id uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.asks, id)
}

// answered hands an answer to who waits for it.
func (b *Bus) answered(e envelope) {
	b.mu.Lock()
	replies := b.asks[e.ID]
	b.mu.Unlock()
	select {
	case replies <- e:
	default: // nobody waits any more, or it came too often
		b.stats.late.Add(1)
	}
}

// collect waits for the answers of others.
func (b *Bus) collect(ctx context.Context, others []Instance, message []byte, replies chan envelope) Answers {
	waiting := make(map[string]Instance, len(others))
	for _, o := range others {
		waiting[o.Incarnation] = o
	}
	heard := make(map[string]Reply, len(others)) // by incarnation
	repeat := time.NewTimer(repeatTime)
	defer repeat.Stop()
	for len(waiting) > 0 && ctx.Err() == nil {
		select {
		case e := <-replies:
			delete(waiting, e.From)
			heard[e.From] = e.reply()
		case <-repeat.C:
			b.repeat(ctx, waiting, message)
		case <-ctx.Done():
		}
	}
	maps.DeleteFunc(waiting, func(incarnation string, _ Instance) bool {
		_, known := b.registry.Find(incarnation)
		return !known // it has left meanwhile
	})
	b.stats.missing.Add(int64(len(waiting)))
	return Answers{slices.Collect(maps.Values(heard)), names(slices.Collect(maps.Values(waiting)))}
}

// repeat asks those again that have not answered, each in its own room.
func (b *Bus) repeat(ctx context.Context, waiting map[string]Instance, message []byte) {
	for incarnation := range waiting {
		b.stats.repeated.Add(1)
		if err := b.carrier.Notify(ctx, roomOf(incarnation), message); err != nil {
			return // it is away: the rest would wait for nothing
		}
	}
}

func (e envelope) reply() Reply {
	r := Reply{Instance: e.Name, Incarnation: e.From, Data: e.Data}
	switch e.Fault {
	case "":
	case faultTooLarge:
		r.Err = ErrTooLarge
	default:
		r.Err = ErrUnknownKind
	}
	return r
}

// names lists INSTANCE_IDs, sorted.
func names(all []Instance) []string {
	out := make([]string, 0, len(all))
	for _, i := range all {
		out = append(out, i.ID)
	}
	slices.Sort(out)
	return out
}
