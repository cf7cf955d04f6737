package chaos

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/test/chaos/link"
	"github.com/moonx-farm/ws-gateway/test/testbed"
)

// apiKey is the one of the server API.
const apiKey = "a key for chaos alone"

// gateway is one instance of the fleet over all its processes, which have the
// same ports. Everybody reaches it through its links, and it reaches Redis
// through one.
type gateway struct {
	t       *testing.T
	n       int
	program string
	env     []string
	public  int
	admin   int
	logfile string

	clients, api, redis *link.Link

	process sync.Mutex // held by the deed that changes the process
	cmd     *exec.Cmd  // guarded by process
	ended   chan struct{}
}

// newGateway makes one with its links; start starts it.
func newGateway(t *testing.T, n int, program, redis string, env ...string) *gateway {
	t.Helper()
	g := &gateway{
		t: t, n: n, program: program, public: testbed.FreePort(t), admin: testbed.FreePort(t),
		logfile: filepath.Join(t.ArtifactDir(), fmt.Sprintf("gateway-%d.log", n)),
	}
	g.clients, g.api, g.redis = newLink(t, address(g.public)), newLink(t, address(g.admin)), newLink(t, redis)
	g.env = append([]string{
		"HOST=127.0.0.1", fmt.Sprint("PORT=", g.public), fmt.Sprint("ADMIN_PORT=", g.admin),
		fmt.Sprint("INSTANCE_ID=gw-", n), "ADMIN_API_KEYS=" + apiKey, "AUTH_MODE=development",
		"DRAIN_WINDOW=500ms", "HEARTBEAT_INTERVAL=2s", "HEARTBEAT_TIMEOUT=2s",
		fmt.Sprint("SEND_QUEUE_BYTES=", queueBytes), "LOG_FORMAT=json",
		"REDIS_URL=redis://" + g.redis.Addr(), "INSTANCE_TTL=2s",
		"GORACE=atexit_sleep_ms=0", "GOTRACEBACK=all",
	}, env...)
	t.Cleanup(g.end)
	return g
}

func newLink(t *testing.T, target string) *link.Link {
	t.Helper()
	l, err := link.Listen(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// start runs a process. It does not wait for it to be ready.
func (g *gateway) start() {
	out, err := os.OpenFile(g.logfile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		g.t.Error(err)
		return
	}
	defer func() { _ = out.Close() }()
	cmd := exec.Command(g.program)
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = g.env, out, out, testbed.Attributes()
	if err := cmd.Start(); err != nil {
		g.t.Error(err)
		return
	}
	ended := make(chan struct{})
	go func() { // ends with the process, which end kills and waits for
		defer close(ended)
		_ = cmd.Wait()
	}()
	g.cmd, g.ended = cmd, ended
}

// kill ends the process as a crash does.
func (g *gateway) kill() {
	if g.cmd != nil {
		_ = g.cmd.Process.Kill()
		<-g.ended
	}
}

// term asks the process to end, and waits for it. It returns what is wrong with
// how it ended, "" for nothing.
func (g *gateway) term() string {
	_ = g.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-g.ended:
	case <-time.After(patience):
		g.kill()
		return fmt.Sprintf("gateway %d does not end within %v of SIGTERM", g.n, patience)
	}
	if code := g.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Sprintf("gateway %d ends with code %d after SIGTERM", g.n, code)
	}
	return ""
}

// halt stops the process where it is, resume lets it go on.
func (g *gateway) halt()   { _ = g.cmd.Process.Signal(syscall.SIGSTOP) }
func (g *gateway) resume() { _ = g.cmd.Process.Signal(syscall.SIGCONT) }

// alive tells whether the process runs.
func (g *gateway) alive() bool {
	g.process.Lock()
	defer g.process.Unlock()
	select {
	case <-g.ended:
		return false
	default:
		return true
	}
}

func (g *gateway) end() {
	g.process.Lock()
	defer g.process.Unlock()
	g.kill()
}

// ready asks the gateway itself, past its links, and returns the status; 0 when
// it does not answer.
func (g *gateway) ready(ctx context.Context) int {
	status, _, err := g.get(ctx, address(g.public), "/health/ready")
	if err != nil {
		return 0
	}
	return status
}

// get asks a gateway for a page.
func (g *gateway) get(ctx context.Context, addr, path string) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, http.NoBody)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+apiKey)
	req.Close = true
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

// errMetric says that there is no such metric.
var errMetric = errors.New("no such metric")

// metrics reads numbers of the gateway, asked past its links. A name with
// labels stands as it is written there.
func (g *gateway) metrics(ctx context.Context, names ...string) (map[string]float64, error) {
	status, body, err := g.get(ctx, address(g.admin), "/metrics")
	if err != nil || status != http.StatusOK {
		return nil, fmt.Errorf("metrics of gateway %d: status %d, %w", g.n, status, err)
	}
	all := map[string]float64{}
	for lines := bufio.NewScanner(bytes.NewReader(body)); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			all[name] = v
		}
	}
	out := map[string]float64{}
	for _, name := range names {
		v, ok := all[name]
		if !ok {
			return nil, fmt.Errorf("%w: %s", errMetric, name)
		}
		out[name] = v
	}
	return out, nil
}

// complaints are lines of the log that no run may have.
func (g *gateway) complaints() []string {
	text, err := os.ReadFile(g.logfile)
	if err != nil {
		return []string{err.Error()}
	}
	var out []string
	for line := range strings.Lines(string(text)) {
		for _, bad := range []string{"WARNING: DATA RACE", "panic:", "fatal error:", "goroutine leak"} {
			if strings.Contains(line, bad) {
				out = append(out, fmt.Sprintf("gateway %d: %s", g.n, strings.TrimSpace(line)))
			}
		}
	}
	return out
}

// tail is the end of the log.
func (g *gateway) tail() string {
	text, _ := os.ReadFile(g.logfile)
	return string(text[max(0, len(text)-4000):])
}
