package limit

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
)

// Kind is what a message is counted as.
type Kind uint8

// The kinds of messages.
const (
	Message Kind = iota // any
	Join                // one that joins a room, besides
	kinds               // how many there are
)

// String is the kind's name, also used as a metric label.
func (k Kind) String() string {
	if k == Join {
		return "join"
	}
	return "message"
}

// Verdict is what becomes of a message.
type Verdict uint8

// The verdicts.
const (
	Pass   Verdict = iota // is served
	Refuse                // is not, and its client is told
	End                   // is not, and its connection ends
)

// Account is what one connection has taken. Limiter.Open opens it. A nil
// Account has no limits. Safe for concurrent use.
type Account struct {
	// Immutable after Open.
	limiter *Limiter
	address netip.Addr // as counted; the zero Addr when it is not

	user atomic.Pointer[subject] // nil: not counted

	messages, joins, refusals bucket
	ended                     atomic.Bool

	mu     sync.Mutex
	userID string // guarded by mu: whom user stands for
	closed bool   // guarded by mu
}

// Enter counts the connection among those of a user, and no longer among those
// of another. It returns ErrUser, and changes nothing, when the user has as
// many as one may. "" is a guest, who is not counted. It may wait for the
// fleet, within ctx; calls come one after the other.
func (a *Account) Enter(ctx context.Context, userID string) error {
	if a == nil || a.limiter.users == nil || a.has(userID) {
		return nil
	}
	l := a.limiter
	if userID == "" {
		a.become(userID, nil)
		return nil
	}
	user, here := l.users.enter(userID)
	if user == nil {
		l.refusedUser.Add(1)
		return ErrUser
	}
	if !l.admits(ctx, userID, here) {
		l.users.leave(userID)
		l.refusedUser.Add(1)
		return ErrUser
	}
	a.become(userID, user)
	return nil
}

// has tells whether the connection is a user's already, or is nobody's any more.
func (a *Account) has(userID string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.closed || userID == a.userID
}

// become makes the connection one of a user it has been counted with; nil for a
// guest.
func (a *Account) become(userID string, user *subject) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed { // meanwhile
		if user != nil {
			a.limiter.users.leave(userID)
		}
		return
	}
	a.leaveLocked()
	a.userID = userID
	a.user.Store(user)
}

func (a *Account) leaveLocked() {
	if a.user.Swap(nil) != nil {
		a.limiter.users.leave(a.userID)
	}
}

// Take counts one message of the connection and of its user.
func (a *Account) Take(kind Kind) Verdict {
	if a == nil || !a.limiter.cfg.RateLimiting {
		return Pass
	}
	l := a.limiter
	now := l.now()
	over, ok := a.take(now, kind)
	switch {
	case ok:
		return Pass
	case a.refusals.take(now, l.rates.message):
		l.limited[over].Add(1)
		return Refuse
	}
	if a.ended.CompareAndSwap(false, true) {
		l.closed.Add(1)
	}
	return End
}

// take takes from every bucket that a message stands for; else it tells which
// kind was one too many.
func (a *Account) take(now int64, kind Kind) (over Kind, ok bool) {
	r, user := &a.limiter.rates, a.user.Load()
	if !a.messages.take(now, r.message) || user != nil && !user.messages.take(now, r.userMessage) {
		return Message, false
	}
	if kind == Join && (!a.joins.take(now, r.join) || user != nil && !user.joins.take(now, r.userJoin)) {
		return Join, false
	}
	return 0, true
}

// Close gives back what the connection has taken. Idempotent.
func (a *Account) Close() {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return
	}
	a.closed = true
	a.leaveLocked()
	if a.address.IsValid() {
		a.limiter.addresses.leave(a.address)
	}
}
