package redisbroker

import "github.com/moonx-farm/ws-gateway/internal/wire"

// stow puts a publication aside while the room is behind. When there is too
// much all of it is dropped: what is in the log will be read. Guarded by mu.
func (r *room) stow(a arrival) {
	cost := publicationCost(a.pub)
	if len(r.stash) > 0 && r.stashed+cost > int64(r.b.cfg.HandoffBytes) || r.b.overfull(cost) {
		r.b.count.overflows.Add(1)
		r.missed = true
		r.lost = r.lost || r.unkept > 0 || a.pub.Position.Offset == 0
		r.unstash()
		return
	}
	if a.pub.Position.Offset == 0 {
		r.unkept++
	}
	r.stash = append(r.stash, a)
	r.stashed += cost
	r.b.waiting.Add(cost)
}

// unstash drops what was put aside. Guarded by mu.
func (r *room) unstash() {
	r.b.spend(-r.stashed)
	r.stash, r.stashed, r.seen, r.unkept = nil, 0, 0, 0
}

// unstow hands on what was put aside and is in no log, as far as it was published
// before p. Guarded by mu.
func (r *room) unstow(p *wire.Publication) {
	for i := 0; i < len(r.stash) && r.unkept > 0; i++ {
		a := &r.stash[i]
		switch {
		case a.pub == nil:
		case a.pub.Position == p.Position:
			return
		case a.pub.Position.Offset == 0 && a.pub.Time <= p.Time:
			r.enqueue(item{pub: a.pub})
			a.pub = nil
			r.unkept--
		}
	}
}

// rejoin goes on with what came live while the log was read up to its top.
// Guarded by mu.
func (r *room) rejoin() {
	stash, seen, cost := r.stash, r.seen, r.stashed
	r.stash, r.seen, r.stashed, r.unkept = nil, 0, 0, 0
	whole := r.replay(stash, seen)
	r.b.spend(-cost)
	if !whole || r.missed {
		r.retry()
		return
	}
	r.behind, r.hint = false, wire.Position{}
	if r.lost {
		r.lost = false
		r.overflowGap()
	}
	for _, m := range r.marks {
		r.enqueue(item{ctl: &control{mark: m}})
	}
	r.marks = nil
}

// replay hands on what follows of a stash. What came before the log was read,
// the first seen of it, and does not follow all the same, is in no log, or is in
// what was delivered. Of the rest it puts all aside again, and is false. Guarded
// by mu.
func (r *room) replay(stash []arrival, seen int) bool {
	for i, a := range stash {
		if a.pub == nil {
			continue
		}
		s := r.judge(a)
		if s == deliver {
			r.enqueue(item{pub: a.pub})
		}
		if s == look && i >= seen {
			for _, rest := range stash[i:] {
				if rest.pub != nil {
					r.stow(rest)
				}
			}
			return false
		}
	}
	return true
}
