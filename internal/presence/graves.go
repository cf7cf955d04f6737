package presence

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/hub"
)

const (
	// graveTime is how long an instance that was taken for gone finds out about
	// it when it is back.
	graveTime = 10 * time.Minute
	// digTries bounds the attempts to tell of the members of one instance.
	digTries = 10
	// mostGraves bounds the instances whose members wait to be told of.
	mostGraves = 1000
)

// grave is an instance that has gone.
type grave struct {
	inc   string
	due   time.Time
	known bool // when it has gone
	tries int
}

// graves are the instances whose members are to be told of.
type graves struct {
	wake chan struct{} // one wish to look; immutable

	mu   sync.Mutex
	list []grave // guarded by mu
}

// Gone says that an instance has gone. One of those that live tells who has
// left with it: who is on no other. It does not block.
func (d *Directory) Gone(inc string) {
	d.graves.add(grave{inc: inc, due: time.Now()})
}

func (g *graves) add(one grave) {
	g.mu.Lock()
	if len(g.list) < mostGraves {
		g.list = append(g.list, one)
	}
	g.mu.Unlock()
	signal(g.wake)
}

// next takes out an instance that is due, or tells how long it is until one is;
// negative when there is none.
func (g *graves) next(now time.Time) (one grave, wait time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	first := -1
	for i, x := range g.list {
		if first < 0 || x.due.Before(g.list[first].due) {
			first = i
		}
	}
	if first < 0 {
		return grave{}, -1
	}
	if one = g.list[first]; one.due.After(now) {
		return grave{}, one.due.Sub(now)
	}
	g.list = slices.Delete(g.list, first, first+1)
	return one, 0
}

// digUntilStopped tells of the members of instances that have gone.
func (d *Directory) digUntilStopped() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-d.ctx.Done():
			return
		case <-d.graves.wake:
		case <-timer.C:
		}
		one, wait := d.graves.next(time.Now())
		for ; wait == 0; one, wait = d.graves.next(time.Now()) {
			d.dig(one)
		}
		if wait > 0 {
			timer.Reset(wait)
		}
	}
}

// dig handles one instance that has gone.
func (d *Directory) dig(one grave) {
	wait, err := d.bury(d.ctx, &one)
	switch {
	case d.ctx.Err() != nil:
	case err != nil && one.tries >= digTries:
		d.log.Warn("presence: members that an instance has left behind are not told of", zap.String("incarnation", one.inc), zap.Error(err))
	case err != nil:
		wait = time.Second
		fallthrough
	case wait > 0:
		one.tries++
		one.due = time.Now().Add(wait)
		d.graves.add(one)
	}
}

// bury tells of the members of an instance that has gone, if this instance is
// the first to try. It returns how long to wait before: users of one that was
// there a moment ago may be on their way to another.
func (d *Directory) bury(ctx context.Context, one *grave) (wait time.Duration, err error) {
	if slices.Contains(d.view.Others(), one.inc) {
		return 0, nil // it was only silent for a while
	}
	if !one.known {
		ago, err := d.lastKept(ctx, one.inc)
		if one.known = err == nil; err != nil || ago < hub.PresenceGrace {
			return hub.PresenceGrace - ago, err
		}
	}
	mine, err := d.claim(ctx, one.inc)
	if err != nil || !mine {
		return 0, err
	}
	d.stats.buried.Add(1)
	for more := true; more && err == nil; {
		more, err = d.bringOut(ctx, one.inc)
	}
	return 0, err
}

// lastKept tells how long ago an instance has prolonged the life of its keys,
// by what is left of it.
func (d *Directory) lastKept(ctx context.Context, inc string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	left, err := d.redis.Client().PTTL(ctx, d.keys.summary(inc)).Result()
	if err != nil {
		return 0, fmt.Errorf("look at a gone instance: %w", err)
	}
	return max(d.ttl-max(left, 0), 0), nil
}

// claim takes the task to tell of an instance's members; false when another
// has.
func (d *Directory) claim(ctx context.Context, inc string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	self := d.view.Self()
	keys := append(d.keys.whole(inc), d.keys.grave(inc), d.keys.buried(inc))
	won, err := d.redis.Client().Eval(ctx, buryScript, keys, self, graveTime.Milliseconds()).Int()
	if err != nil {
		return false, fmt.Errorf("claim a gone instance: %w", err)
	}
	if won == 1 {
		return true, nil
	}
	// An attempt before this one, whose answer was lost, may have won.
	by, err := d.redis.Client().Get(ctx, d.keys.grave(inc)).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return false, fmt.Errorf("claim a gone instance: %w", err)
	}
	return by == self, nil
}

// bringOut tells of the next members of a gone instance and forgets them; false
// when there are none.
func (d *Directory) bringOut(ctx context.Context, inc string) (more bool, err error) {
	texts, err := d.buriedPage(ctx, inc)
	if err != nil || len(texts) == 0 {
		return false, err
	}
	b := &batch{}
	for _, text := range texts {
		if m, ok := parseMember(text); ok && !d.has(m) {
			b.members = append(b.members, memberChange{m, change{}})
		}
	}
	all, err := d.look(ctx, b)
	if err != nil {
		return false, err
	}
	d.spread(ctx, d.newsOf(b, math.Inf(1), all)) // whoever has left, has done so before
	return true, d.forget(ctx, inc, texts)
}

func (d *Directory) buriedPage(ctx context.Context, inc string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	texts, err := d.redis.Client().ZRange(ctx, d.keys.buried(inc), 0, batchSize-1).Result()
	if err != nil {
		return nil, fmt.Errorf("read a gone instance's members: %w", err)
	}
	return texts, nil
}

func (d *Directory) forget(ctx context.Context, inc string, texts []string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	args := make([]any, len(texts))
	for i, text := range texts {
		args[i] = text
	}
	if err := d.redis.Client().ZRem(ctx, d.keys.buried(inc), args...).Err(); err != nil {
		return fmt.Errorf("forget a gone instance's members: %w", err)
	}
	return nil
}
