package presence

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// sights is what one other instance has of what a batch is about.
type sights struct {
	inc string

	members *redis.FloatSliceCmd // for each asked member; 0: not there
	came    *redis.FloatSliceCmd // the time in µs, 0: not lately
	went    *redis.FloatSliceCmd
	rooms   *redis.SliceCmd // connections in the asked members' rooms
	users   *redis.SliceCmd // connections of the askers' users
}

// sight is what one other instance has of one member.
type sight struct {
	inc        string
	there      bool
	came, went float64 // Redis's time in µs, 0 when that is longer ago
}

// asked are the changes of a batch that may be news: those of rooms that tell.
func (d *Directory) asked(b *batch) []memberChange {
	var out []memberChange
	for _, m := range b.members {
		if !m.quiet && d.hub.Tells(m.room, 0) {
			out = append(out, m)
		}
	}
	return out
}

// look asks what the other instances have of what a batch is about. The keys
// of an instance that cannot be read count as empty, unless none can.
func (d *Directory) look(ctx context.Context, b *batch) ([]sights, error) {
	b.asked = d.asked(b)
	others := d.view.Others()
	if len(others) == 0 || len(b.asked)+len(b.questions) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	pipe := d.redis.Client().Pipeline()
	all := make([]sights, len(others))
	for i, inc := range others {
		all[i] = d.sightsOf(ctx, pipe, inc, b)
	}
	_, err := pipe.Exec(ctx)
	seen := all[:0]
	for _, s := range all {
		if s.err() == nil {
			seen = append(seen, s)
		}
	}
	if err != nil && len(seen) == 0 {
		return nil, fmt.Errorf("look at the others' presence: %w", err)
	}
	return seen, nil
}

// sightsOf asks for one instance's keys.
func (d *Directory) sightsOf(ctx context.Context, pipe redis.Pipeliner, inc string, b *batch) sights {
	s := sights{inc: inc}
	if n := len(b.asked); n > 0 {
		members, came, went, rooms := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
		for i, m := range b.asked {
			members[i], rooms[i] = m.text(), m.room
			came[i], went[i] = "+"+members[i], "-"+members[i]
		}
		s.members = pipe.ZMScore(ctx, d.keys.members(inc), members...)
		s.came = pipe.ZMScore(ctx, d.keys.fresh(inc), came...)
		s.went = pipe.ZMScore(ctx, d.keys.fresh(inc), went...)
		s.rooms = pipe.HMGet(ctx, d.keys.counts(inc), rooms...)
	}
	if n := len(b.questions); n > 0 {
		users := make([]string, n)
		for i, q := range b.questions {
			users[i] = q.user
		}
		s.users = pipe.HMGet(ctx, d.keys.users(inc), users...)
	}
	return s
}

// err is why the instance could not be read.
func (s *sights) err() error {
	for _, cmd := range []*redis.FloatSliceCmd{s.members, s.came, s.went} {
		if cmd != nil && cmd.Err() != nil {
			return cmd.Err()
		}
	}
	for _, cmd := range []*redis.SliceCmd{s.rooms, s.users} {
		if cmd != nil && cmd.Err() != nil {
			return cmd.Err()
		}
	}
	return nil
}

// of is what the instance has of the ith asked member.
func (s *sights) of(i int) sight {
	return sight{inc: s.inc, there: floatAt(s.members, i) > 0, came: floatAt(s.came, i), went: floatAt(s.went, i)}
}

func floatAt(cmd *redis.FloatSliceCmd, i int) float64 {
	if v := cmd.Val(); i < len(v) {
		return v[i]
	}
	return 0
}

// newsOf are the changes of a batch, written at a time, that members are to be
// told of.
func (d *Directory) newsOf(b *batch, at float64, all []sights) []memberChange {
	var news []memberChange
	for i, m := range b.asked {
		others, connections := make([]sight, len(all)), d.hub.Occupancy(m.room)
		for j := range all {
			others[j] = all[j].of(i)
			connections += numberAt(all[j].rooms, i)
		}
		if decide(m.in, at, d.view.Self(), others) && d.hub.Tells(m.room, connections) {
			news = append(news, m)
		}
	}
	return news
}

// decide tells whether an instance that wrote at some time that a member came,
// or went, is the one to say so. It is nobody's news while another has the
// member. Of two that wrote at once and see each other, the first says that it
// came, and the last that it went.
func decide(came bool, at float64, self string, others []sight) bool {
	for _, o := range others {
		switch {
		case came && o.there && (o.came == 0 || !later(o.came, o.inc, at, self)):
			return false
		case !came && o.there, !came && later(o.went, o.inc, at, self):
			return false
		}
	}
	return true
}

// later tells whether a write of one instance counts as after that of another.
func later(at float64, inc string, than float64, thanInc string) bool {
	if at != than {
		return at > than
	}
	return inc > thanInc
}
