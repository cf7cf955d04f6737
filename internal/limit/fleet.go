package limit

import "context"

// Fleet knows the connections of users on the other instances. Safe for
// concurrent use.
type Fleet interface {
	// Counted says how many connections a user has on this instance now. It is
	// called under a lock, in the order of events: it must not block.
	Counted(user string, connections int)
	// Elsewhere counts the user's connections on other instances, and returns
	// once these can see what Counted has said before. With an error it is not
	// known.
	Elsewhere(ctx context.Context, user string) (int, error)
}

// UseFleet has MAX_CONNECTIONS_PER_USER count the connections on all instances.
// Call it before the first account is opened.
func (l *Limiter) UseFleet(f Fleet) {
	if l.cfg.MaxPerUser > 0 {
		l.fleet, l.users.told = f, f.Counted
	}
}

// EachUser calls f for the users that UseFleet's fleet is told of, in no order,
// until it returns false. No lock is held meanwhile. The fleet is told of what
// changes after a user's turn.
func (l *Limiter) EachUser(f func(user string, connections int) bool) {
	if l.fleet != nil {
		l.users.each(f)
	}
}

// admits tells whether the fleet lets a user have the connections that it has
// on this instance. Two instances at the limit may both refuse, and never both
// let one in. While the others are not known this instance decides.
func (l *Limiter) admits(ctx context.Context, userID string, here int) bool {
	if l.fleet == nil {
		return true
	}
	elsewhere, err := l.fleet.Elsewhere(ctx, userID)
	return err != nil || here+elsewhere <= l.cfg.MaxPerUser
}

// Here counts the connections of a user on this instance.
func (l *Limiter) Here(user string) int {
	if l.users == nil {
		return 0
	}
	return l.users.connections(user)
}
