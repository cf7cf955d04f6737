package readme

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/moonx-farm/ws-gateway/test/testbed"
)

// patience bounds every wait for something that must happen.
const patience = time.Minute

// programs are the folder with bin/gateway and bin/wsbench, built once.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "gateway-readme")
	if err != nil {
		return "", err
	}
	out, err := exec.Command("go", "build", "-o", filepath.Join(dir, "bin")+"/", root+"/cmd/gateway", root+"/cmd/wsbench").CombinedOutput()
	if err != nil {
		return dir, fmt.Errorf("%w: %s", err, out)
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, _ := programs(); dir != "" {
		_ = os.RemoveAll(dir)
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func folder(t *testing.T) string {
	t.Helper()
	dir, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// process is one that runs in a group of its own.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	log   testbed.Output
	ended chan struct{}
}

// start starts a program, which ends with the test at the latest.
func start(t *testing.T, dir string, environ []string, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(name, args...), ended: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env = dir, append(os.Environ(), environ...)
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.SysProcAttr = &p.log, &p.log, testbed.Attributes()
	p.cmd.SysProcAttr.Setpgid = true // go run has a child
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the process, which the test's end waits for
		defer close(p.ended)
		_ = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		p.signal(syscall.SIGTERM)
		select {
		case <-p.ended:
		case <-time.After(patience):
			p.signal(syscall.SIGKILL)
			<-p.ended
			t.Errorf("%s did not end", name)
		}
		if t.Failed() {
			text := p.log.String()
			t.Logf("%s said:\n%s", name, text[max(0, len(text)-4000):])
		}
	})
	return p
}

func (p *process) signal(s syscall.Signal) { _ = syscall.Kill(-p.cmd.Process.Pid, s) }

func (p *process) over() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// gateway is one that runs on ports of the test's.
type gateway struct {
	*process
	public, admin string            // ports
	ports         *strings.Replacer // of the page's words to this one's
}

const pageKey = "development-only-key"

// serve starts a gateway, by the page's command if dir is a clone of the
// project, and waits until it is ready.
func serve(t *testing.T, environ ...string) *gateway {
	t.Helper()
	g := prepare(t)
	g.run(folder(t), append([]string{"ADMIN_API_KEYS=" + pageKey}, environ...), "bin/gateway")
	return g
}

// prepare finds ports.
func prepare(t *testing.T) *gateway {
	t.Helper()
	g := &gateway{process: &process{t: t}, public: freePort(t), admin: freePort(t)}
	g.ports = strings.NewReplacer(":3007", ":"+g.public, ":9007", ":"+g.admin)
	return g
}

func (g *gateway) run(dir string, environ []string, name string, args ...string) {
	g.t.Helper()
	g.process = start(g.t, dir, append([]string{
		"PORT=" + g.public, "ADMIN_PORT=" + g.admin, "DRAIN_WINDOW=200ms", "LOG_LEVEL=warn",
	}, environ...), name, args...)
	until(g.t, "the gateway is ready", func() bool {
		if g.over() {
			g.t.Fatalf("the gateway has ended: %s", g.log.String())
		}
		resp, err := lone.Get("http://localhost:" + g.public + "/health/ready")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// ask reads JSON of the admin port.
func (g *gateway) ask(path string, answer any) {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.t.Context(), http.MethodGet, "http://localhost:"+g.admin+path, http.NoBody)
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+pageKey)
	resp, err := lone.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		g.t.Fatal(err)
	}
}

// client is a connection of gateway.v1.
type client struct {
	t    *testing.T
	conn *websocket.Conn
}

type message struct {
	Event, Room string
	ID          int
	Data        json.RawMessage
}

// connect connects with a token, and waits for "connected".
func (g *gateway) connect(token string) *client {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws://localhost:"+g.public+"/ws", &websocket.DialOptions{
		Subprotocols: []string{"gateway.v1"}, HTTPHeader: http.Header{"Authorization": {"Bearer " + token}},
	})
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = conn.CloseNow() })
	c := &client{g.t, conn}
	c.await("connected")
	return c
}

// send sends a request and awaits an event.
func (c *client) send(text, awaited string) message {
	c.t.Helper()
	if err := c.conn.Write(c.t.Context(), websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
	return c.await(awaited)
}

func (c *client) await(event string) message {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	for {
		_, raw, err := c.conn.Read(ctx)
		if err != nil {
			c.t.Fatalf("waiting for %s: %v", event, err)
		}
		var m message
		if err := json.Unmarshal(raw, &m); err != nil {
			c.t.Fatalf("%v: %s", err, raw)
		}
		if m.Event == event {
			return m
		}
		if m.Event == "error" {
			c.t.Fatalf("waiting for %s: %s", event, raw)
		}
	}
}

var lone = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for begun := time.Now(); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Since(begun) > patience {
			t.Fatalf("waited %v in vain until %s", patience, what)
		}
	}
}

// freePort finds a port below those that the kernel gives to connections.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := fmt.Sprint(11_000 + rand.IntN(20_000))
		if l, err := net.Listen("tcp", "localhost:"+port); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return ""
}

// shell runs a command of the page, and returns what it prints.
func shell(t *testing.T, dir, command string, environ ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", command)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), environ...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", command, err, out)
	}
	return string(out)
}

// put writes a file into a folder of the test's, and returns its path.
func put(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// body reads a request's body.
func body(t *testing.T, r *http.Request) []byte {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	return b
}
