package cluster

import (
	"context"
	"encoding/hex"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

const (
	// revocationPoll is how often an instance looks for what others revoked: it
	// need not have heard of it, and yet has it within a second.
	revocationPoll = 500 * time.Millisecond
	// revocationPage is how many are read or written at once.
	revocationPage = 500
)

var errUnrecorded = wire.NewError(wire.Unavailable, "it is revoked on this instance, but other instances may not remember it: repeat")

var errLedgerFull = wire.NewError(wire.LimitExceeded, "as many revocations are remembered as may be (MAX_REVOCATIONS)")

// Revoker refuses credentials on this instance.
type Revoker interface {
	// Revoke takes over revocations.
	Revoke(all ...router.Revocation) (int, error)
	// Revocations returns those that it knows.
	Revocations() []router.Revocation
}

// RevocationStats count what became of revocations since the start.
type RevocationStats struct {
	Recorded int64 // written down
	Failed   int64 // not written down: Redis away, or no more may be kept
	Loads    int64 // times that all were read
}

// Revocations keeps revoked users and tokens in Redis, and takes over what
// other instances write there. Users and the digests of tokens are members of
// two sorted sets, by the time until which they are refused; a short log tells
// readers what is new. Make it with NewRevocations. Safe for concurrent use.
type Revocations struct {
	// Immutable after New.
	client redis.UniversalClient
	script *redis.Script
	keys   []string // of users, tokens and the log
	limit  int
	log    *zap.Logger

	ctx    context.Context // ends with Shutdown
	cancel context.CancelFunc
	wg     sync.WaitGroup

	place  string      // owned by run: the last entry of the log that was read; "": read all
	behind atomic.Bool // something was not recorded: compare all
	loaded atomic.Bool

	recorded, failed, loads atomic.Int64
}

// NewRevocations makes a ledger that keeps at most limit revocations.
func NewRevocations(m *redisconn.Manager, limit int, log *zap.Logger) *Revocations {
	key := m.Key("rev", instancesTag)
	v := &Revocations{
		client: m.Client(), script: redis.NewScript(recordScript),
		keys: []string{key + ":users", key + ":tokens", key + ":log"}, limit: limit, log: log,
	}
	v.ctx, v.cancel = context.WithCancel(context.Background())
	return v
}

// Start begins to take over into to what is in Redis. It does not wait. Call it
// once.
func (v *Revocations) Start(to Revoker) { v.wg.Go(func() { v.run(to) }) }

// Shutdown ends that, and waits for it.
func (v *Revocations) Shutdown() {
	v.cancel()
	v.wg.Wait()
}

// Loaded tells whether this instance knows what was revoked before it started.
func (v *Revocations) Loaded() bool { return v.loaded.Load() }

// Stats returns the counters.
func (v *Revocations) Stats() RevocationStats {
	return RevocationStats{Recorded: v.recorded.Load(), Failed: v.failed.Load(), Loads: v.loads.Load()}
}

// recordScript writes revocations down: ARGV is how many may be kept, and then kind,
// member and end of each. A longer one that is there stays. It returns how many
// could not be kept.
const recordScript = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
local limit, refused = tonumber(ARGV[1]), 0
local function keep(key, till)
  if redis.call('PEXPIRETIME', key) < tonumber(till) then redis.call('PEXPIREAT', key, till) end
end
for i = 2, #ARGV, 3 do
  local kind, member, till = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local key = kind == 'u' and KEYS[1] or KEYS[2]
  local old = redis.call('ZSCORE', key, member)
  if tonumber(till) > now and (not old or tonumber(old) < tonumber(till)) then
    if not old and redis.call('ZCARD', KEYS[1]) + redis.call('ZCARD', KEYS[2]) >= limit then
      refused = refused + 1
    else
      redis.call('ZADD', key, till, member)
      redis.call('XADD', KEYS[3], 'MAXLEN', '~', 10000, '*', 'k', kind, 'm', member, 'u', till)
      keep(key, till)
      keep(KEYS[3], till)
    end
  end
end
return refused`

// Record writes a revocation down. Errors are wire.Errors: LimitExceeded when
// no more can be kept, Unavailable when it may not have been; it is then
// written as soon as Redis takes it, for as long as this instance lives.
func (v *Revocations) Record(ctx context.Context, r router.Revocation) error {
	refused, err := v.write(ctx, []router.Revocation{r})
	switch {
	case err != nil:
		v.failed.Add(1)
		v.behind.Store(true)
		v.log.Debug("revocation not recorded", zap.Error(err))
		return errUnrecorded
	case refused > 0:
		v.failed.Add(1)
		return errLedgerFull
	}
	v.recorded.Add(1)
	return nil
}

// write writes revocations down and returns how many could not be kept.
func (v *Revocations) write(ctx context.Context, all []router.Revocation) (refused int, err error) {
	args := make([]any, 1, 1+3*len(all))
	args[0] = v.limit
	for _, r := range all {
		kind, member := memberOf(r)
		args = append(args, kind, member, r.Until.UnixMilli())
	}
	return v.script.Run(ctx, v.client, v.keys, args...).Int()
}

// The kinds of revocations.
const (
	ofUser  = "u"
	ofToken = "t"
)

// memberOf is how a revocation is written.
func memberOf(r router.Revocation) (kind, member string) {
	if r.User != "" {
		return ofUser, r.User
	}
	return ofToken, hex.EncodeToString(r.Token[:])
}

// revocationOf reads a revocation that was written; false for one that is not
// understood or has run out.
func revocationOf(kind, member string, until int64) (router.Revocation, bool) {
	r := router.Revocation{Until: time.UnixMilli(until)}
	switch kind {
	case ofUser:
		r.User = member
	case ofToken:
		b, err := hex.DecodeString(member)
		if err != nil || len(b) != len(r.Token) {
			return r, false
		}
		r.Token = auth.Digest(b)
	}
	return r, r.Valid() && time.Until(r.Until) > 0
}
