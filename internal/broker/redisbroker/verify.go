package redisbroker

import (
	"context"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker/redisbroker/roomlog"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

const (
	// An idle room's position is verified every idleEvery, or as soon after as so
	// many at each tick allow: 160 a second, so that an instance with a room for each
	// of 20,000 users takes two minutes, and fifty of them leave Redis most of its time. A few ticks with
	// more to do cost less than many.
	idleEvery   = 30 * time.Second
	idleTick    = 250 * time.Millisecond
	idleAtOnce  = 40
	verifyMost  = 256 // rooms verified in one pipeline
	verifyPause = 250 * time.Millisecond
	// underWay is how long what was published may be on its way before it
	// counts as lost.
	underWay = 100 * time.Millisecond
)

// check verifies a room's position soon.
func (l *link) check(r *room) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.checks[r] = struct{}{}
	poke(l.checkWake)
}

// suspect verifies all rooms' positions soon.
func (l *link) suspect() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for r := range l.rooms {
		l.checks[r] = struct{}{}
	}
	poke(l.checkWake)
}

// verifyForever verifies the positions of rooms that are suspect, and of idle
// ones by and by, until the link ends.
func (l *link) verifyForever() {
	tick := time.NewTicker(idleTick)
	defer tick.Stop()
	round := idleRound{l: l, began: time.Now()}
	var next time.Time // of suspects, after some could not be verified
	for {
		select {
		case <-l.checkWake:
		case <-tick.C:
			l.verify(round.next(), true)
		case <-l.ctx.Done():
			return
		}
		for time.Now().After(next) && l.ctx.Err() == nil {
			rooms := l.suspects()
			if len(rooms) == 0 {
				break
			}
			if !l.verify(rooms, false) {
				next = time.Now().Add(verifyPause)
			}
		}
	}
}

// idleRound is a way through all rooms of a link, a few at a time.
type idleRound struct {
	l     *link
	began time.Time
	rooms []*room
}

// next returns the next rooms, and begins anew after a while.
func (i *idleRound) next() []*room {
	if len(i.rooms) == 0 && time.Since(i.began) > idleEvery {
		i.began = time.Now()
		i.l.mu.Lock()
		i.rooms = i.l.snapshot()
		i.l.mu.Unlock()
	}
	n := min(idleAtOnce, len(i.rooms))
	rooms := i.rooms[:n]
	i.rooms = i.rooms[n:]
	return rooms
}

// suspects takes the next rooms to verify.
func (l *link) suspects() []*room {
	l.mu.Lock()
	defer l.mu.Unlock()
	rooms := make([]*room, 0, min(verifyMost, len(l.checks)))
	for r := range l.checks {
		if len(rooms) == cap(rooms) {
			break
		}
		delete(l.checks, r)
		rooms = append(rooms, r)
	}
	return rooms
}

// verify asks whether rooms' logs go on from their positions. False when
// nobody answered; suspects are then asked for again.
func (l *link) verify(rooms []*room, idle bool) bool {
	claims := make([]roomlog.Claim, 0, len(rooms))
	asked := make([]*room, 0, len(rooms))
	for _, r := range rooms {
		if at, ok := r.claim(l, idle); ok {
			claims, asked = append(claims, roomlog.Claim{Room: r.name, Position: at}), append(asked, r)
		}
	}
	if len(claims) == 0 || !l.b.mutation.verifies() {
		return true
	}
	l.b.count.verified.Add(uint64(len(claims)))
	ctx, cancel := context.WithTimeout(l.ctx, readTimeout)
	defer cancel()
	verdicts, err := l.b.logs.Verify(ctx, l.shard, claims)
	whole := err == nil
	for i, r := range asked {
		switch {
		case err == nil && verdicts[i].Err == nil:
			r.judged(verdicts[i])
		case !idle:
			whole = false
			l.check(r)
		}
	}
	return whole
}

// claim returns the position to verify; false when there is none, when the room
// says itself what it misses, or when it is elsewhere by now. Without entries the
// room's epoch lasts only while somebody asks for it, however much is published.
func (r *room) claim(l *link, idle bool) (wire.Position, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	busy := idle && r.active && r.cursor.at.Offset > 0
	r.active = false
	return r.cursor.at, r.cursor.known && !r.gone && r.link == l && !r.behind && !busy
}

// judged takes the answer to a claim.
func (r *room) judged(v roomlog.Verdict) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone || r.behind {
		return
	}
	switch {
	case !v.Holds:
		r.b.count.unheld.Add(1)
		r.fallBehind()
	case r.lacks(v.Top):
		// It may be under way.
		r.b.later.after(underWay, func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			if !r.gone && !r.behind && r.lacks(v.Top) {
				r.b.count.holes.Add(1)
				r.fallBehind()
			}
		})
	}
}

// lacks tells whether something up to top has not come. Guarded by mu.
func (r *room) lacks(top wire.Position) bool {
	return top.Epoch == r.cursor.at.Epoch && r.cursor.at.Offset < top.Offset
}
