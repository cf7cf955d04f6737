package router

import (
	"sync"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/session"
)

// grants are the memberships that are asked about again. Sessions without any
// cost nothing.
type grants struct {
	router *Router // immutable

	mu     sync.Mutex
	of     map[*session.Session][]*grant // guarded by mu
	queue  []*grant                      // guarded by mu: due
	askers int                           // guarded by mu: goroutines that ask
}

// put notes until when a session may be in a room; zero: for good.
func (all *grants) put(s *session.Session, room string, until time.Time) {
	all.forget(s, room)
	if until.IsZero() {
		return
	}
	g := &grant{grants: all, session: s, room: room, until: until, at: until}
	all.mu.Lock()
	all.of[s] = append(all.of[s], g)
	all.mu.Unlock()
	all.router.stats.grants.Add(1)
	g.sleep()
	if s.Gone() { // end may have been before
		all.end(s)
	}
}

// forget drops the grant of a session for a room, if there is one.
func (all *grants) forget(s *session.Session, room string) {
	if g := all.find(s, room); g != nil {
		all.drop(g)
	}
}

func (all *grants) find(s *session.Session, room string) *grant {
	if all.router.stats.grants.Load() == 0 {
		return nil
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	for _, g := range all.of[s] {
		if g.room == room {
			return g
		}
	}
	return nil
}

func (all *grants) current(g *grant) bool {
	all.mu.Lock()
	defer all.mu.Unlock()
	return all.currentLocked(g)
}

func (all *grants) currentLocked(g *grant) bool {
	for _, known := range all.of[g.session] {
		if known == g {
			return true
		}
	}
	return false
}

// drop forgets a grant; false when it was forgotten before.
func (all *grants) drop(g *grant) bool {
	all.mu.Lock()
	defer all.mu.Unlock()
	list := all.of[g.session]
	for i, known := range list {
		if known != g {
			continue
		}
		list[i] = list[len(list)-1]
		list[len(list)-1] = nil
		if all.of[g.session] = list[:len(list)-1]; len(list) == 1 {
			delete(all.of, g.session)
		}
		all.router.wheel.Cancel(&g.timer)
		all.router.stats.grants.Add(-1)
		return true
	}
	return false
}

// end forgets the grants of a session that is gone.
func (all *grants) end(s *session.Session) {
	if all.router.stats.grants.Load() == 0 {
		return
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	for _, g := range all.of[s] {
		all.router.wheel.Cancel(&g.timer)
		all.router.stats.grants.Add(-1)
	}
	delete(all.of, s)
}

// due has a grant asked about again, a bounded number at a time.
func (all *grants) due(g *grant) {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.queue = append(all.queue, g)
	if all.askers < grantAskers && all.router.spawn(all.ask) {
		all.askers++
	}
}

// ask asks about what is due until nothing is.
func (all *grants) ask() {
	for g := all.next(); g != nil; g = all.next() {
		g.renew()
	}
}

// next takes what is due; nil ends the asker.
func (all *grants) next() *grant {
	all.mu.Lock()
	defer all.mu.Unlock()
	if len(all.queue) == 0 || all.router.ctx.Err() != nil {
		all.queue = nil
		all.askers--
		return nil
	}
	g := all.queue[0]
	all.queue[0] = nil
	all.queue = all.queue[1:]
	return g
}
