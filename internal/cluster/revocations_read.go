package cluster

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/router"
)

// noEntry is the place in a log without entries.
const noEntry = "0-0"

// errBehind says that the log does not go back to where it was read last.
var errBehind = errors.New("the log of revocations has been cut")

// run looks for revocations of other instances until Shutdown.
func (v *Revocations) run(to Revoker) {
	tick := time.NewTicker(revocationPoll)
	defer tick.Stop()
	for {
		if err := v.look(v.ctx, to); err != nil && v.ctx.Err() == nil {
			v.log.Debug("revocations not read", zap.Error(err)) // the connection's owner says what is wrong
		}
		select {
		case <-v.ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look takes over what is new, or everything when that is not certain.
func (v *Revocations) look(ctx context.Context, to Revoker) error {
	if v.place != "" && !v.behind.Load() {
		if err := v.follow(ctx, to); !errors.Is(err, errBehind) {
			return err
		}
	}
	v.behind.Store(false) // before reading: what fails from now on counts for the next time
	if err := v.load(ctx, to); err != nil {
		v.behind.Store(true)
		return err
	}
	v.loaded.Store(true)
	v.loads.Add(1)
	return nil
}

// follow reads on in the log.
func (v *Revocations) follow(ctx context.Context, to Revoker) error {
	for {
		entries, more, err := v.next(ctx)
		if err != nil || len(entries) == 0 {
			return err
		}
		v.take(to, written(entries))
		v.place = entries[len(entries)-1].ID
		if !more {
			return nil
		}
	}
}

// next reads a page of the log behind the place that was read last. It returns
// errBehind when the entry of that place is not there any more: it was trimmed,
// or Redis has lost something.
func (v *Revocations) next(ctx context.Context) (entries []redis.XMessage, more bool, err error) {
	entries, err = v.client.XRangeN(ctx, v.keys[2], v.place, "+", revocationPage).Result()
	if err != nil {
		return nil, false, err
	}
	more = len(entries) == revocationPage
	switch {
	case v.place == noEntry:
		return entries, more, nil
	case len(entries) == 0 || entries[0].ID != v.place:
		return nil, false, errBehind
	}
	return entries[1:], more, nil
}

// written are the revocations in entries of the log.
func written(entries []redis.XMessage) []router.Revocation {
	var out []router.Revocation
	for _, e := range entries {
		kind, _ := e.Values["k"].(string)
		member, _ := e.Values["m"].(string)
		text, _ := e.Values["u"].(string)
		until, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			continue
		}
		if r, ok := revocationOf(kind, member, until); ok {
			out = append(out, r)
		}
	}
	return out
}

// take takes revocations over.
func (v *Revocations) take(to Revoker, all []router.Revocation) {
	if len(all) == 0 {
		return
	}
	if _, err := to.Revoke(all...); err != nil {
		v.log.Warn("not all revocations of other instances can be remembered", zap.Int("taken", len(all)), zap.Error(err))
	}
}

// load reads all revocations, and writes down those that this instance knows
// and Redis does not: it was away, or has lost them.
func (v *Revocations) load(ctx context.Context, to Revoker) error {
	last, err := v.client.XRevRangeN(ctx, v.keys[2], "+", "-", 1).Result()
	if err != nil {
		return err
	}
	place := noEntry // before the sets are read: what comes meanwhile is read twice
	if len(last) > 0 {
		place = last[0].ID
	}
	there := map[router.Revocation]int64{}
	var all []router.Revocation
	for i, kind := range []string{ofUser, ofToken} {
		err := v.scan(ctx, v.keys[i], func(member string, until int64) {
			if r, ok := revocationOf(kind, member, until); ok {
				there[undated(r)] = until
				all = append(all, r)
			}
		})
		if err != nil {
			return err
		}
	}
	v.take(to, all)
	if err := v.restore(ctx, to, there); err != nil {
		return err
	}
	v.place = place
	return nil
}

// undated is a revocation without its end, to compare whom it means.
func undated(r router.Revocation) router.Revocation {
	return router.Revocation{User: r.User, Token: r.Token}
}

// scan calls f with the members of a sorted set, some twice.
func (v *Revocations) scan(ctx context.Context, key string, f func(member string, until int64)) error {
	var cursor uint64
	for {
		pairs, next, err := v.client.ZScan(ctx, key, cursor, "", revocationPage).Result()
		if err != nil {
			return err
		}
		for i := 0; i+1 < len(pairs); i += 2 {
			if until, err := strconv.ParseFloat(pairs[i+1], 64); err == nil {
				f(pairs[i], int64(until))
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// restore writes down what is not there. What cannot be kept stays with this
// instance.
func (v *Revocations) restore(ctx context.Context, to Revoker, there map[router.Revocation]int64) error {
	var lost []router.Revocation
	for _, r := range to.Revocations() {
		if there[undated(r)] < r.Until.UnixMilli() {
			lost = append(lost, r)
		}
	}
	for len(lost) > 0 {
		n := min(len(lost), revocationPage)
		if _, err := v.write(ctx, lost[:n]); err != nil {
			return err
		}
		v.recorded.Add(int64(n))
		lost = lost[n:]
	}
	return nil
}
