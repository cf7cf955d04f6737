package client

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/test/chaos/link"
)

func long() bool { return os.Getenv("GATEWAY_LONG") == "1" }

// longTime bounds a long run.
const longTime = 20 * time.Minute

// The messages of a round, which has one fault: each of the four clients and the
// backend publish some.
const (
	ofClient  = 2
	ofBackend = 2
	perFault  = 4*ofClient + ofBackend
)

const room = "survival"

// TestEveryClientObservesEveryMessageOnce is the delivery contract as a page
// sees it: two gateways on a Redis, each client behind a load balancer of its
// own, and everything that can break does, while clients and a backend publish.
// What was acknowledged must have been observed by every client, once, in the
// room's order, and no gap may have been told.
func TestEveryClientObservesEveryMessageOnce(t *testing.T) {
	t.Parallel()
	faults := 15
	if long() {
		faults = 100
	}
	seed := seedOf(t)
	t.Logf("seed %d: CLIENT_SEED=%d repeats it", seed, seed)
	s := newSurvival(t, rand.New(rand.NewPCG(seed, 0)))
	begun := time.Now()
	for range faults {
		s.round()
	}
	s.settle(faults * perFault)
	s.judge(faults * perFault)
	t.Logf("%d faults %v, %d messages in %v", faults, s.done, faults*perFault, time.Since(begun).Round(time.Millisecond))
}

func seedOf(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("CLIENT_SEED")
	if text == "" {
		return uint64(time.Now().UnixNano()) % 1_000_000
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("CLIENT_SEED %q: want a whole number", text)
	}
	return seed
}

// survival is one run. Its methods are for the test's goroutine.
type survival struct {
	t         *testing.T
	random    *rand.Rand
	gateways  [2]*gateway
	balancers [4]*link.Link // of each client
	at        [4]int        // the gateway that a balancer sends new connections to
	node      *script       // the first three clients
	tab       *tab          // the fourth
	done      map[string]int

	queue   chan string // what the backend is to publish
	backend sync.WaitGroup
	mu      sync.Mutex
	stored  map[string]uint64 // guarded by mu; offsets by what the backend published
}

// settings are those of a survivor.
type settings struct {
	URL     string         `json:"url"`
	User    string         `json:"user"`
	Room    string         `json:"room"`
	Options map[string]any `json:"options"`
}

func newSurvival(t *testing.T, random *rand.Rand) *survival {
	t.Helper()
	redis := redistest.Single(t)
	s := &survival{t: t, random: random, done: map[string]int{}, queue: make(chan string, 1000), stored: map[string]uint64{}}
	for i := range s.gateways {
		s.gateways[i] = newGateway(t, "REDIS_HOST=127.0.0.1", fmt.Sprint("REDIS_PORT=", redis.Port()), fmt.Sprint("INSTANCE_ID=gw-", i),
			"INSTANCE_TTL=2s", "HEARTBEAT_INTERVAL=1s", "HEARTBEAT_TIMEOUT=2s", "REBALANCE_ENABLED=false")
	}
	var clients [4]settings
	for i := range s.balancers {
		s.at[i] = i % len(s.gateways)
		s.balancers[i] = newLink(t, s.gateways[s.at[i]].public)
		clients[i] = settings{
			URL: "ws://" + s.balancers[i].Addr() + "/ws", User: fmt.Sprint("user", i), Room: room,
			Options: map[string]any{"minDelay": 20, "maxDelay": 500, "connectTimeout": 3000, "requestTimeout": 3000},
		}
	}
	s.node = start(t, "survivors.mjs", s.gateways[0].arguments(map[string]any{"clients": clients[:3]}))
	s.tab = openTab(t, page(t, s.gateways[0].public, clients[3]))
	ask[any](s, "joined")
	until(t, "the page has joined", func() bool { return eval[bool](s.tab, "window.joined === true") })
	s.backend.Go(s.publish)
	t.Cleanup(s.end)
	return s
}

// end lets the backend's goroutine end. It does nothing the second time.
func (s *survival) end() {
	if s.queue != nil {
		close(s.queue)
		s.queue = nil
	}
	s.backend.Wait()
}

// ask has the clients in Node.js do something, and reads their answer.
func ask[T any](s *survival, command string) T {
	s.t.Helper()
	s.node.tell(command)
	var answer T
	if !s.node.lines.Scan() {
		s.t.Fatalf("%s: the clients have ended: %s", command, &s.node.stderr)
	}
	if err := json.Unmarshal(s.node.lines.Bytes(), &answer); err != nil {
		s.t.Fatalf("%s: %v: %s", command, err, s.node.lines.Bytes())
	}
	return answer
}

// round has everybody publish, and something break meanwhile. Half of the rounds
// do not wait for what the one before has broken.
func (s *survival) round() {
	s.t.Helper()
	for range ofBackend {
		s.done["messages of the backend"]++
		s.queue <- fmt.Sprint("backend-", s.done["messages of the backend"])
	}
	ask[any](s, fmt.Sprint("publish ", ofClient))
	eval[any](s.tab, "void window.client.publish(%d)", ofClient)
	s.pause(100)
	s.fault()
	if s.random.IntN(2) == 0 {
		s.pause(300)
		return
	}
	until(s.t, "everything is acknowledged again", func() bool { return s.unanswered() == 0 })
}

// pause waits a random time, in milliseconds at most.
func (s *survival) pause(most int) { time.Sleep(time.Duration(s.random.IntN(most)) * time.Millisecond) }

// fault breaks something.
func (s *survival) fault() {
	s.t.Helper()
	balancer, gateway := s.random.IntN(len(s.balancers)), s.random.IntN(len(s.gateways))
	kinds := []string{"kill", "drain", "cut", "silence", "half silence", "refusal", "cut of all"}
	kind := kinds[s.random.IntN(len(kinds))]
	s.done[kind]++
	l := s.balancers[balancer]
	switch kind {
	case "kill":
		s.leave(gateway)
		s.gateways[gateway].kill()
		s.gateways[gateway].start()
	case "drain":
		s.leave(gateway)
		s.gateways[gateway].untilReady() // one that only begins just ends
		s.gateways[gateway].drain()
		s.gateways[gateway].start()
	case "cut":
		s.direct(balancer)
		l.Reset()
	case "silence":
		s.shape(l, silent, 2500)
	case "half silence":
		one := link.Shape{}
		one.Silent[s.random.IntN(2)] = true
		s.shape(l, one, 2500)
	case "refusal":
		l.Target("")
		l.Reset()
		s.pause(400)
		s.direct(balancer)
	case "cut of all":
		for i, l := range s.balancers {
			s.direct(i)
			l.Reset()
		}
	}
}

// shape gives a link a shape for a time.
func (s *survival) shape(l *link.Link, shape link.Shape, most int) {
	l.Apply(shape)
	s.pause(most)
	l.Apply(link.Shape{})
}

// leave directs new connections to the other gateway once it is ready, as load
// balancers do some time before or after the fact.
func (s *survival) leave(gateway int) {
	s.t.Helper()
	other := 1 - gateway
	s.gateways[other].untilReady()
	for i := range s.balancers {
		if s.random.IntN(4) > 0 {
			s.at[i] = other
			s.balancers[i].Target(s.gateways[other].public)
		}
	}
}

// direct directs new connections through a balancer to either gateway.
func (s *survival) direct(balancer int) {
	s.at[balancer] = s.random.IntN(len(s.gateways))
	s.balancers[balancer].Target(s.gateways[s.at[balancer]].public)
}

// publish is the backend: it repeats what was not answered with 200, at either
// gateway, under the same key.
func (s *survival) publish() {
	for what := range s.queue {
		body, _ := json.Marshal(map[string]any{"room": room, "event": "n", "data": what, "idempotencyKey": what})
		for attempt := 0; ; attempt++ {
			if offset := s.post(s.gateways[attempt%2].admin, body); offset > 0 {
				s.mu.Lock()
				s.stored[what] = offset
				s.mu.Unlock()
				break
			}
			if attempt > 3000 {
				s.t.Errorf("the backend gives %s up", what)
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// post publishes at a gateway; 0 without the answer that it is stored.
func (s *survival) post(admin string, body []byte) uint64 {
	req, err := http.NewRequest(http.MethodPost, "http://"+admin+"/api/v1/publish", bytes.NewReader(body))
	if err != nil {
		s.t.Error(err)
		return 0
	}
	req.Header.Set("Authorization", "Bearer "+apiKey)
	req.Header.Set("Content-Type", "application/json")
	resp, err := lone.Do(req)
	if err != nil {
		return 0
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct{ Offset uint64 }
	if json.NewDecoder(resp.Body).Decode(&answer) != nil || resp.StatusCode != http.StatusOK {
		return 0
	}
	return answer.Offset
}

// state is how far a survivor is.
type state struct{ Observed, Unanswered, Wrong int }

func (s *survival) states() []state {
	s.t.Helper()
	return append(ask[[]state](s, "state"), eval[state](s.tab, "window.client.state()"))
}

// unanswered counts what was published and is not acknowledged. Nothing is
// waited for once something is wrong.
func (s *survival) unanswered() int {
	s.t.Helper()
	s.mu.Lock()
	n := s.done["messages of the backend"] - len(s.stored)
	s.mu.Unlock()
	for _, each := range s.states() {
		if each.Wrong > 0 {
			return 0
		}
		n += each.Unanswered
	}
	return n
}

// settle heals everything and waits until all is acknowledged and observed.
func (s *survival) settle(messages int) {
	s.t.Helper()
	for i := range s.gateways {
		s.gateways[i].untilReady()
	}
	until(s.t, "everything is acknowledged", func() bool { return s.unanswered() == 0 })
	s.end()
	until(s.t, "everything is observed", func() bool {
		for _, each := range s.states() {
			if each.Observed < messages && each.Wrong == 0 {
				return false
			}
		}
		return true
	})
}

// report is what a survivor has seen.
type report struct {
	User         string
	Observed     [][2]any
	Acknowledged map[string]uint64
	Losses       map[string]int
	Wrong        []string
}

// judge compares what everybody has seen with what was acknowledged.
func (s *survival) judge(messages int) {
	s.t.Helper()
	reports := append(ask[[]report](s, "report"), eval[report](s.tab, "window.client.report()"))
	s.node.finish(nil)
	acknowledged := s.stored // its writer has ended
	for _, r := range reports {
		for what, offset := range r.Acknowledged {
			acknowledged[what] = offset
		}
		for _, text := range r.Wrong {
			s.t.Errorf("%s: %s", r.User, text)
		}
		s.t.Logf("%s lost connections by code: %v", r.User, r.Losses)
	}
	if len(acknowledged) != messages {
		s.t.Errorf("%d messages were acknowledged, want %d", len(acknowledged), messages)
	}
	for _, r := range reports {
		s.observed(r, acknowledged, messages)
	}
	for _, fault := range s.tab.wrong() {
		s.t.Errorf("in the page: %s", fault)
	}
}

// observed checks that a client has observed each message once, in order, where
// it was acknowledged to be.
func (s *survival) observed(r report, acknowledged map[string]uint64, messages int) {
	s.t.Helper()
	if len(r.Observed) != messages {
		s.t.Errorf("%s has observed %d messages, want %d", r.User, len(r.Observed), messages)
	}
	for i, o := range r.Observed {
		offset, what := uint64(o[0].(float64)), o[1].(string)
		if offset != uint64(i+1) || acknowledged[what] != offset {
			s.t.Errorf("%s: its message %d is %s at offset %d, acknowledged at %d", r.User, i+1, what, offset, acknowledged[what])
			return
		}
	}
}
