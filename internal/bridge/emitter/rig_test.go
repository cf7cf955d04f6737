package emitter

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/test/npm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// instance is what messages act on: it keeps what it was told, in order. It
// has members in every room but "empty".
type instance struct {
	mu   sync.Mutex
	did  []string        // guarded by mu
	gate <-chan struct{} // guarded by mu: calls wait for it
	bad  error           // guarded by mu: what joins answer
}

func (i *instance) call(format string, args ...any) {
	i.mu.Lock()
	gate := i.gate
	i.did = append(i.did, fmt.Sprintf(format, args...))
	i.mu.Unlock()
	if gate != nil {
		<-gate
	}
}

// hang makes calls wait for a gate.
func (i *instance) hang(gate <-chan struct{}) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.gate = gate
}

func (a Aim) String() string {
	text := a.Namespace + " to " + strings.Join(a.Rooms, ",")
	if len(a.Except) > 0 {
		text += " but " + strings.Join(a.Except, ",")
	}
	return text
}

func (*instance) Occupied(_, room string) bool { return room != "empty" }

func (i *instance) Deliver(_ context.Context, to Aim, e Event) int {
	i.call("%s: %s %s", to, e.Name, e.Args)
	return 2
}

func (i *instance) Join(_ context.Context, who Aim, rooms []string) (int, error) {
	i.call("%s: join %s", who, strings.Join(rooms, ","))
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(rooms), i.bad
}

func (i *instance) Leave(who Aim, rooms []string) (int, error) {
	i.call("%s: leave %s", who, strings.Join(rooms, ","))
	return len(rooms), nil
}

func (i *instance) Disconnect(who Aim, transport bool) int {
	i.call("%s: disconnect %v", who, transport)
	return 1
}

// done takes what was done.
func (i *instance) done() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	did := i.did
	i.did = nil
	return did
}

func (i *instance) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.did)
}

// rig is an instance that listens.
type rig struct {
	*instance
	*Listener
	t    *testing.T
	logs *observer.ObservedLogs
}

func config() Config {
	return Config{Key: "socket.io", Requests: true, Namespaces: []string{"/", "/admin"}, MaxData: 1 << 20}
}

// listen starts an instance and waits until it listens.
func listen(t *testing.T, m *redisconn.Manager, cfg Config, change ...func(*Listener)) *rig {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	r := &rig{instance: &instance{}, t: t, logs: logs}
	r.Listener = New(cfg, Parts{Redis: m, Local: r.instance, Log: zap.New(core)})
	for _, f := range change {
		f(r.Listener)
	}
	r.Start()
	t.Cleanup(r.Shutdown)
	if r.Enabled() {
		r.until("it listens", r.connected)
	}
	return r
}

func (r *rig) connected() bool { return r.Err() == nil && r.Stats().Connected }

func (r *rig) until(what string, holds func() bool) {
	r.t.Helper()
	until(r.t, what, holds)
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// expect waits for what is to be done, exactly and in this order.
func (r *rig) expect(want ...string) {
	r.t.Helper()
	for deadline := time.Now().Add(patience); r.count() < len(want) && time.Now().Before(deadline); {
		time.Sleep(2 * time.Millisecond)
	}
	if got := r.done(); !slices.Equal(got, want) {
		r.t.Errorf("done:\n\t%s\nwant:\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// publish publishes lines of JavaScript with the emitter of Node.js and a key.
func publish(t *testing.T, s *redistest.Server, key string, lines ...string) {
	t.Helper()
	script, err := filepath.Abs("testdata/node/publish.js")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", script, strconv.Itoa(s.Port()), key)
	cmd.Dir = npm.Packages(t, "emitter", "testdata/node")
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("node (the tests need the packages nodejs and npm): %v\n%s", err, out)
	}
}
