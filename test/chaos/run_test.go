package chaos

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/wire"
	"github.com/moonx-farm/ws-gateway/test/chaos/check"
)

// How clients behave.
const (
	answerTime = 2500 * time.Millisecond // for an answer
	joinTime   = 3 * time.Second         // for room_joined, before it is asked for again
	keyTime    = 4 * time.Minute         // for which a key is repeated: below IDEMPOTENCY_TTL
	maxPad     = 2000                    // bytes of a content at most
	queueBytes = 128 << 10               // SEND_QUEUE_BYTES
)

// roomPolicy is the policy of the fleet, short the size of the rooms that keep
// little.
const (
	short      = 25
	keepsAll   = 200_000
	roomPolicy = `
version: 1
rooms:
  - {match: "room:*", join: anyone, publish: authenticated, history: {size: 200000}}
  - {match: "short:*", join: anyone, publish: authenticated, history: {size: 25}}
  - {match: "safe:*", join: anyone, publish: authenticated, history: {size: 200000}, durability: replicated}
  - {match: "seen:*", join: anyone, publish: authenticated, history: {size: 200000}, presence: true}
`
)

// roomNames are 20 rooms, and what they promise.
func roomNames() map[string]check.Room {
	rooms := map[string]check.Room{}
	for i := range 10 {
		rooms[fmt.Sprint("room:", i)] = check.Room{Size: keepsAll}
	}
	for i := range 3 {
		rooms[fmt.Sprint("short:", i)] = check.Room{Size: short}
		rooms[fmt.Sprint("seen:", i)] = check.Room{Size: keepsAll}
	}
	for i := range 4 {
		rooms[fmt.Sprint("safe:", i)] = check.Room{Size: keepsAll, Replicated: true}
	}
	return rooms
}

// plan says what a run is made of.
type plan struct {
	program     string
	env         []string
	gateways    int
	subscribers int
	seed        uint64
}

// run is one fleet under chaos.
type run struct {
	t        *testing.T
	plan     plan
	rules    check.Rules
	names    []string
	history  *check.History
	redis    *pair
	gateways []*gateway
	bonds    []*bond
	served   []service     // by gateway
	survivor int           // the gateway that never ends
	calm     atomic.Bool   // a round is ending: slow subscribers hurry
	stay     time.Duration // of a subscriber on one connection, on average
	pace     time.Duration // of a publisher, between messages, on average
	silence  time.Duration // after which a subscriber's connection counts as dead
	bound    time.Duration // within which all must be well after a round

	subscribers []*subscriber
	publishers  []*publisher

	mu       sync.Mutex
	problems []string // guarded by mu; what is wrong besides the contract
}

// service is what a gateway has done so far.
type service struct {
	acked    atomic.Int64 // when the latest acknowledged attempt had begun
	received atomic.Int64 // when the latest delivered message had been made
}

func (s *service) acknowledged(from time.Duration) { later(&s.acked, from) }
func (s *service) delivered(made time.Duration)    { later(&s.received, made) }

func later(v *atomic.Int64, at time.Duration) {
	for old := v.Load(); int64(at) > old && !v.CompareAndSwap(old, int64(at)); old = v.Load() {
		continue
	}
}

// since tells whether something begun after a time was served.
func (s *service) since(at time.Duration) bool {
	return s.acked.Load() > int64(at) && s.received.Load() > int64(at)
}

// begin starts a fleet and its subscribers and waits until all is well.
func begin(t *testing.T, p plan) *run {
	t.Helper()
	rooms := roomNames()
	r := &run{
		t: t, plan: p, names: slices.Sorted(maps.Keys(rooms)), history: check.NewHistory(),
		served: make([]service, p.gateways), stay: 5 * time.Second, pace: 80 * time.Millisecond, silence: 3 * time.Second, bound: patience,
		rules: check.Rules{
			Rooms: rooms, FarBehind: queueBytes / 2 / (maxPad + 300), Settle: 15 * time.Second, Service: patience, Gateways: p.gateways,
		},
	}
	draw := rand.New(rand.NewPCG(p.seed, 0))
	r.survivor = draw.IntN(p.gateways)
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(policy, []byte(roomPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	r.redis = newPair(t, r.names)
	for n := range p.gateways {
		r.gateways = append(r.gateways, newGateway(t, n, p.program, r.redis.now().Addr(), append(p.env, "POLICY_FILE="+policy)...))
	}
	for _, g := range r.gateways {
		r.bonds = append(r.bonds, &bond{Link: g.clients, name: " to clients", g: g}, &bond{Link: g.api, name: " to backends", g: g},
			&bond{Link: g.redis, name: " to Redis", g: g})
		g.start()
	}
	r.people(draw)
	t.Cleanup(func() {
		if t.Failed() {
			for _, g := range r.gateways {
				t.Logf("the end of gateway %d's log:\n%s", g.n, g.tail())
			}
		}
	})
	until(t, "all gateways are ready", r.ready)
	return r
}

// people makes subscribers and publishers.
func (r *run) people(draw *rand.Rand) {
	for i := range r.plan.subscribers {
		s := &subscriber{
			run: r, name: fmt.Sprint("reader-", i), slow: i%5 == 0,
			rand: rand.New(rand.NewPCG(r.plan.seed, uint64(100+i))), last: map[string]wire.Position{},
		}
		for _, n := range draw.Perm(len(r.names))[:4] {
			s.rooms = append(s.rooms, r.names[n])
		}
		r.subscribers = append(r.subscribers, s)
	}
	for i := range 8 {
		p := &publisher{run: r, name: fmt.Sprint("writer-", i), rand: rand.New(rand.NewPCG(r.plan.seed, uint64(200+i)))}
		if p.way = newBackend(); i%2 == 0 {
			p.way = &member{name: p.name}
		}
		r.publishers = append(r.publishers, p)
	}
}

// other is a gateway at random, another than the one given.
func (r *run) other(draw *rand.Rand, than *gateway) *gateway {
	for {
		if g := r.gateways[draw.IntN(len(r.gateways))]; g != than || len(r.gateways) == 1 {
			return g
		}
	}
}

// problem notes what is wrong besides the contract, once in the same words.
func (r *run) problem(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.problems, text) {
		r.problems = append(r.problems, text)
	}
}

func (r *run) ready() bool {
	return !slices.ContainsFunc(r.gateways, func(g *gateway) bool { return g.ready(r.t.Context()) != http.StatusOK })
}
