package cluster

import (
	"maps"
	"time"
)

// peer is another instance, and until when it counts as living unless it is
// heard of again.
type peer struct {
	Instance
	until time.Time
}

// view is what is known of the other instances. Immutable: merge makes the
// next.
type view struct {
	peers map[string]peer // by incarnation; some past their time
}

// living lists those whose time is not over, in no order.
func (v *view) living(now time.Time) []Instance {
	all := make([]Instance, 0, len(v.peers)+1)
	for _, p := range v.peers {
		if p.until.After(now) {
			all = append(all, p.Instance)
		}
	}
	return all
}

// unheard lists the others, in no order.
func (v *view) unheard(now time.Time) []Instance {
	var all []Instance
	for _, p := range v.peers {
		if !p.until.After(now) {
			all = append(all, p.Instance)
		}
	}
	return all
}

func (v *view) lives(incarnation string, now time.Time) bool {
	p, ok := v.peers[incarnation]
	return ok && p.until.After(now)
}

// news is what another view says that the one before did not.
type news struct {
	gone    []string // incarnations
	changed bool     // who lives, or in which state
}

// merge takes what Redis has told. An instance has gone if it has said so, or
// if its time is over: not at once when it is missing from the answer, for
// Redis may have lost all of them and hear of them again within a heartbeat.
// settled says that Redis was there long enough for everybody to tell of
// themselves: until then, those whose time is over may only have found no Redis
// to tell, and are kept.
func (v *view) merge(answer []peer, now time.Time, settled bool) (*view, news) {
	next := &view{maps.Clone(v.peers)}
	if next.peers == nil {
		next.peers = map[string]peer{}
	}
	var n news
	for _, p := range answer {
		n.hear(next, p, now)
	}
	for incarnation, p := range next.peers {
		if settled && !p.until.After(now) {
			n.drop(next, incarnation)
		}
	}
	return next, n
}

// hear puts what a peer says of itself into a view.
func (n *news) hear(v *view, p peer, now time.Time) {
	old, known := v.peers[p.Incarnation]
	switch {
	case p.State != left:
		v.peers[p.Incarnation] = p
		n.changed = n.changed || !known || old.State != p.State || !old.until.After(now)
	case known:
		n.drop(v, p.Incarnation)
	}
}

// drop takes a peer that has gone out of a view.
func (n *news) drop(v *view, incarnation string) {
	delete(v.peers, incarnation)
	n.gone, n.changed = append(n.gone, incarnation), true
}
