package fleet

import (
	"context"
	"errors"
	"slices"

	"github.com/moonx-farm/ws-gateway/internal/cluster"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Drainer lets this instance's connections go.
type Drainer interface {
	// BeginDrain begins and returns at once; false when it has begun already.
	BeginDrain() bool
}

// ErrNoInstance is returned for the name of an instance that is not there.
var ErrNoInstance = errors.New("fleet: no such instance")

// errDrain is told when an instance that lives has not heard of it.
var errDrain = wire.NewError(wire.Unavailable, "the instance has not answered: try again")

// drainage is a question for an instance to drain.
type drainage struct {
	Instance string `json:"instance"`
}

// drained is the answer: whether the instance is meant, and drains.
type drained struct {
	Draining bool `json:"draining"`
}

// Instances lists the instances that live, in the order of their names.
func (f *Fleet) Instances() []cluster.Instance { return f.parts.View.View() }

// Drain has the instances of a name let their connections go, at the pace of a
// stop: there is one, unless names are used twice. The process stays, and is
// not ready, until it is stopped. It returns how many drain; again does no harm.
// Errors are ErrNoInstance, and Unavailable when one that lives did not answer.
func (f *Fleet) Drain(ctx context.Context, instance string) (int, error) {
	q := drainage{instance}
	h := askOthers[drained](ctx, f, kindDrain, q)
	n := 0
	for _, one := range append(h.answers, f.drain(ctx, q)) {
		if one.Draining {
			n++
		}
	}
	switch {
	case slices.Contains(h.missing, instance):
		return n, errDrain
	case n == 0:
		return 0, ErrNoInstance
	}
	return n, nil
}

func (f *Fleet) drain(_ context.Context, q drainage) drained {
	if q.Instance != f.parts.Instance {
		return drained{}
	}
	f.parts.Drainer.BeginDrain()
	return drained{true}
}
