package router

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/wheel"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// revocationSweep is how often revocations that have run out are thrown away.
const revocationSweep = time.Minute

var errRevocations = wire.NewError(wire.LimitExceeded, "as many revocations are remembered as may be (MAX_REVOCATIONS)")

// revocations remembers revoked users and tokens, by time. Tokens are known by
// their digest. What the verifier accepts is checked against it, also when it
// has a verification from before.
type revocations struct {
	// Immutable.
	limit int
	wheel *wheel.Wheel

	timer wheel.Timer
	count atomic.Int64 // of both; written under mu: without any, nobody locks

	mu     sync.RWMutex
	users  map[string]time.Time      // guarded by mu: until when
	tokens map[auth.Digest]time.Time // guarded by mu: until when
}

func newRevocations(limit int, w *wheel.Wheel) *revocations {
	return &revocations{limit: limit, wheel: w, users: map[string]time.Time{}, tokens: map[auth.Digest]time.Time{}}
}

// add remembers revocations. A longer one that is there stays. It returns
// LimitExceeded when some cannot be remembered.
func (v *revocations) add(all []Revocation) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	var fault error
	for _, one := range all {
		var err error
		if one.User != "" {
			err = put(v, v.users, one.User, one.Until)
		} else {
			err = put(v, v.tokens, one.Token, one.Until)
		}
		if err != nil {
			fault = err
		}
	}
	return fault
}

// put remembers one revocation. Guarded by mu.
func put[K comparable](v *revocations, in map[K]time.Time, key K, until time.Time) error {
	old, known := in[key]
	switch {
	case time.Until(until) <= 0 || known && !old.Before(until):
		return nil
	case !known && v.lenLocked() >= v.limit:
		v.sweepLocked()
		if v.lenLocked() >= v.limit {
			return errRevocations
		}
	}
	if v.lenLocked() == 0 {
		v.wheel.Schedule(&v.timer, revocationSweep, v)
	}
	in[key] = until
	v.count.Store(int64(v.lenLocked()))
	return nil
}

// all returns what is remembered and has not run out, in no order.
func (v *revocations) all() []Revocation {
	now := time.Now()
	v.mu.RLock()
	defer v.mu.RUnlock()
	out := make([]Revocation, 0, v.lenLocked())
	for user, until := range v.users {
		if now.Before(until) {
			out = append(out, Revocation{User: user, Until: until})
		}
	}
	for token, until := range v.tokens {
		if now.Before(until) {
			out = append(out, Revocation{Token: token, Until: until})
		}
	}
	return out
}

func (v *revocations) lenLocked() int { return len(v.users) + len(v.tokens) }

// has tells whether an identity's user or token is revoked.
func (v *revocations) has(id *auth.Identity) bool {
	if v.count.Load() == 0 {
		return false
	}
	now := time.Now()
	v.mu.RLock()
	defer v.mu.RUnlock()
	return now.Before(v.users[id.UserID]) || id.Token != auth.Digest{} && now.Before(v.tokens[id.Token])
}

// Expired implements wheel.Task: it forgets what has run out.
func (v *revocations) Expired() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.sweepLocked()
	if v.lenLocked() > 0 {
		v.wheel.Schedule(&v.timer, revocationSweep, v)
	}
}

func (v *revocations) sweepLocked() {
	now := time.Now()
	maps.DeleteFunc(v.users, func(_ string, until time.Time) bool { return !now.Before(until) })
	maps.DeleteFunc(v.tokens, func(_ auth.Digest, until time.Time) bool { return !now.Before(until) })
	v.count.Store(int64(v.lenLocked()))
}
