package roomlog

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Claim is a position that was delivered, and should be in its room's log.
type Claim struct {
	Room     string
	Position wire.Position
}

// Verdict is the answer to a Claim.
type Verdict struct {
	// Top is the room's position now.
	Top wire.Position
	// Holds tells that the log goes on from the claimed position: it is of the
	// log's epoch, and its entry is there with its nonce, or so old that it is
	// not kept. Whether it can still be read from Read says.
	Holds bool
	// Err is why this claim could not be judged: then the rest is zero.
	Err error
}

// Verify judges claims about rooms of one shard, Config.Batch of them in one
// round trip, one verdict for each. When a log does not have a claimed entry
// in the claim's epoch it was rolled back: then its epoch ends, its entries go
// on in a new one, and its channel is told. Verifying keeps metadata alive, as
// reading does, and makes it where there is none. The error is why the shard
// could not be asked; verdicts of earlier batches are lost with it.
func (l *Log) Verify(ctx context.Context, shard *redisconn.Shard, claims []Claim) ([]Verdict, error) {
	verdicts := make([]Verdict, 0, len(claims))
	for len(claims) > 0 {
		n := min(len(claims), l.cfg.Batch)
		batch, err := l.verify(ctx, shard, claims[:n])
		if err != nil {
			return nil, err
		}
		verdicts = append(verdicts, batch...)
		claims = claims[n:]
	}
	return verdicts, nil
}

func (l *Log) verify(ctx context.Context, shard *redisconn.Shard, claims []Claim) ([]Verdict, error) {
	cmds := make([]redis.Cmder, len(claims))
	for i, c := range claims {
		args := append([]any{"EVALSHA", l.scripts.verify.sha, "2", l.metaKey(c.Room), l.logKey(c.Room)},
			positionArgs(c.Position)...)
		cmds[i] = redis.NewStringCmd(ctx, append(args, l.tell, l.Channel(c.Room))...)
	}
	if err := execute(ctx, shard, l.scripts.verify, cmds); err != nil {
		return nil, err
	}
	verdicts := make([]Verdict, len(claims))
	for i, cmd := range cmds {
		verdicts[i] = l.judged(cmd)
		switch err := cmd.Err(); {
		case err == nil:
		case !isReply(err):
			return nil, fmt.Errorf("verify positions: %w", err)
		case fateOf(err) != faulty:
			l.redis.Refresh()
		}
	}
	return verdicts, nil
}

// judged reads the answer of verify.lua.
func (l *Log) judged(cmd redis.Cmder) Verdict {
	if err := cmd.Err(); err != nil {
		return Verdict{Err: err}
	}
	text, _ := cmd.(*redis.StringCmd)
	answer := text.Val()
	if answer == "" {
		return Verdict{Err: errMessage}
	}
	top, err := parsePosition([]byte(answer[1:]))
	if err != nil {
		return Verdict{Err: err}
	}
	if answer[0] == 'e' {
		l.counts.epochsEnded.Add(1)
	}
	return Verdict{Top: top, Holds: answer[0] == 'h'}
}
