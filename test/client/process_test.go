package client

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/test/testbed"
)

const (
	// patience bounds every wait for something that must happen.
	patience = 30 * time.Second

	apiKey = "a key of this test's backend"
)

// policyText rules the rooms of all tests.
const policyText = `
version: 1
rooms:
  - {match: "**", join: anyone, publish: member, history: {size: 5000, age: 1h}, presence: true}
  - {match: "short:*", join: anyone, publish: member, history: {size: 3, age: 1h}}
  - {match: "price:*", join: anyone, publish: member, history: {size: 5000, age: 1h}, slow: conflate}
  - {match: "tick:*", join: anyone, publish: member, history: {size: 5000, age: 1h}, slow: drop_oldest}
  - {match: "typing:*", join: anyone, publish: member}
  - {match: "deal:*", join: backend, publish: member, history: {size: 100, age: 1h}}
  - {match: "user:*", publish: owner, history: {size: 100, age: 1h}}
`

// gateway is an instance on ports of its own, in one process after another.
type gateway struct {
	t             *testing.T
	public, admin string // host:port
	environ       []string
	now           *process
}

// newGateway starts an instance, which ends with the test, and waits until it is
// ready.
func newGateway(t *testing.T, environ ...string) *gateway {
	t.Helper()
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(policy, []byte(policyText), 0o600); err != nil {
		t.Fatal(err)
	}
	public, admin := testbed.FreePort(t), testbed.FreePort(t)
	g := &gateway{
		t: t, public: fmt.Sprint("127.0.0.1:", public), admin: fmt.Sprint("127.0.0.1:", admin),
		environ: append([]string{
			"HOST=127.0.0.1", fmt.Sprint("PORT=", public), fmt.Sprint("ADMIN_PORT=", admin), "ADMIN_API_KEYS=" + apiKey,
			"POLICY_FILE=" + policy, "DRAIN_WINDOW=300ms", "GORACE=atexit_sleep_ms=0",
		}, environ...),
	}
	g.start()
	g.untilReady()
	return g
}

// process is one of a gateway's.
type process struct {
	cmd   *exec.Cmd
	log   *testbed.Output
	ended chan struct{}
}

// start starts the instance, and does not wait until it is ready.
func (g *gateway) start() {
	g.t.Helper()
	path, err := program()
	if err != nil {
		g.t.Fatal(err)
	}
	p := &process{cmd: exec.Command(path), log: &testbed.Output{}, ended: make(chan struct{})}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr, p.cmd.SysProcAttr = g.environ, p.log, p.log, testbed.Attributes()
	if err := p.cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	spawned.Add(p.cmd.Process.Pid)
	go func() { // ends with the process, which the test's end kills and waits for
		defer close(p.ended)
		_ = p.cmd.Wait()
	}()
	g.now = p
	g.t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
		if text := p.log.String(); g.t.Failed() && g.now == p || strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic:") {
			g.t.Errorf("a gateway said:\n%s", tail(text))
		}
	})
}

// kill ends the instance as a crash does.
func (g *gateway) kill() {
	_ = g.now.cmd.Process.Kill()
	<-g.now.ended
}

// drain asks the instance to end, and waits for it.
func (g *gateway) drain() {
	g.t.Helper()
	_ = g.now.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-g.now.ended:
	case <-time.After(patience):
		g.t.Fatal("the gateway does not end")
	}
	if code := g.now.cmd.ProcessState.ExitCode(); code != 0 {
		g.t.Errorf("a gateway that drained ended with code %d", code)
	}
}

func (g *gateway) untilReady() {
	g.t.Helper()
	until(g.t, "the gateway is ready", func() bool {
		select {
		case <-g.now.ended:
			g.t.Fatal("the gateway has ended")
		default:
		}
		resp, err := lone.Get("http://" + g.public + "/health/ready")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// lone is a client that keeps no connections.
var lone = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}

// until waits until something holds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for begun := time.Now(); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > patience {
			t.Fatalf("waited %v in vain until %s", patience, what)
		}
	}
}

// tail is the end of a long text.
func tail(text string) string {
	const most = 8000
	return text[max(0, len(text)-most):]
}
