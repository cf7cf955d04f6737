package presence

import (
	"context"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/moonx-farm/ws-gateway/internal/limit"
	"github.com/moonx-farm/ws-gateway/internal/redisconn"
)

// quota is the directory as a limiter sees it.
type quota struct{ d *Directory }

var _ limit.Fleet = quota{}

// question is somebody who waits to hear how many connections a user has on
// other instances.
type question struct {
	user   string
	answer chan answer // takes one without waiting
}

type answer struct {
	connections int
	err         error
}

// Counted implements limit.Fleet.
func (q quota) Counted(user string, connections int) {
	d := q.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	d.changes.users[user] = connections
	d.changes.bound()
	signal(d.wake)
}

// Elsewhere implements limit.Fleet.
func (q quota) Elsewhere(ctx context.Context, user string) (int, error) {
	if len(q.d.view.Others()) == 0 {
		return 0, nil
	}
	ask := &question{user, make(chan answer, 1)}
	if !q.d.ask(ask) {
		return 0, redisconn.ErrAway
	}
	select {
	case a := <-ask.answer:
		return a.connections, a.err
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-q.d.ctx.Done():
		return 0, redisconn.ErrAway
	}
}

// ask has a question answered with the next batch; false when there is none to
// wait for.
func (d *Directory) ask(q *question) bool {
	if d.away.Load() {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || len(d.changes.questions) >= mostQuestions {
		return false
	}
	d.changes.questions = append(d.changes.questions, q)
	signal(d.wake)
	return true
}

// answer answers a batch's questions.
func (b *batch) answer(all []sights) {
	for i, q := range b.questions {
		n := 0
		for j := range all {
			n += numberAt(all[j].users, i)
		}
		q.answer <- answer{connections: n}
	}
}

// numberAt is the ith number of an answer, 0 where there is none.
func numberAt(cmd *redis.SliceCmd, i int) int {
	if cmd == nil || i >= len(cmd.Val()) {
		return 0
	}
	text, _ := cmd.Val()[i].(string)
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}
