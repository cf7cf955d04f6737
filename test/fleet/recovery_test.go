package fleet

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/test/npm"
)

// app is an application on Node.js with a socket of socket.io-client.
type app struct {
	t     *testing.T
	stdin io.WriteCloser

	mu   sync.Mutex
	said []string // guarded by mu
}

// run starts an application, which ends with the test.
func runApp(t *testing.T, g *gateway, user string, transports ...string) *app {
	t.Helper()
	script, err := filepath.Abs("testdata/node/recovery.js")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
	cmd := exec.CommandContext(ctx, "node", append([]string{script, "http://" + g.public, user}, transports...)...)
	cmd.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(npm.Packages(t, "e2e", "../e2e/testdata/node"), "node_modules"))
	a := &app{t: t}
	if a.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: the tests need the packages nodejs and npm", err)
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			a.mu.Lock()
			a.said = append(a.said, lines.Text())
			a.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		defer cancel()
		_ = a.stdin.Close()
		timer := time.AfterFunc(5*time.Second, cancel)
		reading.Wait()
		_ = cmd.Wait()
		timer.Stop()
		if t.Failed() {
			t.Logf("%s saw:\n%s", user, strings.Join(a.all(), "\n"))
		}
	})
	return a
}

func (a *app) tell(line string) {
	a.t.Helper()
	if _, err := fmt.Fprintln(a.stdin, line); err != nil {
		a.t.Error(err)
	}
}

func (a *app) all() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.said)
}

// sees waits for a line and returns those before it and it, from the last call on.
func (a *app) sees(prefix string) []string {
	a.t.Helper()
	var all []string
	until(a.t, "the application says "+prefix, func() bool {
		all = a.all()
		return slices.ContainsFunc(all, func(line string) bool { return strings.HasPrefix(line, prefix) })
	})
	at := slices.IndexFunc(all, func(line string) bool { return strings.HasPrefix(line, prefix) })
	a.mu.Lock()
	defer a.mu.Unlock()
	a.said = a.said[at+1:]
	return all[:at+1]
}

func (g *gateway) chat(room, text string) {
	g.t.Helper()
	g.done("publish", map[string]any{"room": room, "event": "chat", "data": text})
}

// noted waits until the session is written down that is in all rooms but one.
func noted(t *testing.T, redis *redistest.Server, but string, rooms ...string) {
	t.Helper()
	until(t, fmt.Sprint("Redis has the session with ", rooms), func() bool {
		keys := redis.Client().Keys(t.Context(), "*sio:*").Val()
		return slices.ContainsFunc(keys, func(key string) bool {
			state := redis.Client().HGet(t.Context(), key, "s").Val()
			for _, room := range rooms {
				if !strings.Contains(state, `"`+room+`"`) {
					return false
				}
			}
			return !strings.Contains(state, `"`+but+`"`)
		})
	})
}

func TestASocketIOSessionIsRecoveredOnAnotherInstance(t *testing.T) {
	for name, c := range map[string]struct {
		transports []string
		end        func(*process)
	}{
		"killed, on a WebSocket": {[]string{"websocket"}, func(p *process) { p.kill() }},
		"killed, with upgrade":   {nil, func(p *process) { p.kill() }},
		"killed, polling":        {[]string{"polling"}, func(p *process) { p.kill() }},
		"drained":                {nil, func(p *process) { p.stop() }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redis := redistest.Single(t)
			f := newFleet(t, on(redis), "SOCKETIO_RECOVERY=1m")
			a, b := f.spawn("a"), f.spawn("b")
			f.settle()
			ann := runApp(t, a.gateway, "ann", c.transports...)
			first := strings.Fields(ann.sees("connect ")[0])
			if first[2] != "false" {
				t.Error("the first connection says that it was recovered")
			}
			for _, room := range []string{"x", "y", "z"} {
				ann.tell("join " + room)
				ann.sees("join " + room + " true")
			}
			ann.tell("leave z")
			ann.sees("leave z true")
			b.chat("y", "y1")
			ann.sees("chat y y1")
			b.chat("x", "x1")
			ann.sees("chat x x1")
			noted(t, redis, "z", "x", "y")
			c.end(a)
			f.forget(a.gateway)
			for n := 2; n <= 20; n++ {
				b.chat("x", fmt.Sprint("x", n))
				b.chat("y", fmt.Sprint("y", n))
				b.chat("z", fmt.Sprint("z", n))
			}
			ann.tell("http://" + b.public)
			lines := ann.sees("connect ")
			got := map[string][]string{}
			for _, line := range lines {
				if words := strings.Fields(line); words[0] == "chat" {
					got[words[1]] = append(got[words[1]], words[2])
				}
			}
			if again := strings.Fields(lines[len(lines)-1]); again[1] != first[1] || again[2] != "true" {
				t.Fatalf("connected as %v, then as %v", first, again)
			}
			numbers := func(room string, from int) (all []string) {
				for n := from; n <= 20; n++ {
					all = append(all, fmt.Sprint(room, n))
				}
				return all
			}
			// x ends the offset; y goes on at its checkpoint, which may be before y1.
			if !slices.Equal(got["x"], numbers("x", 2)) || got["z"] != nil ||
				!slices.Equal(got["y"], numbers("y", 2)) && !slices.Equal(got["y"], numbers("y", 1)) {
				t.Errorf("missed: %v", got)
			}
			if next := ann.sees("connected "); next[0] != "connected "+first[1] {
				t.Errorf("after the connection: %q", next)
			}
			b.chat("x", "x21")
			ann.sees("chat x x21")
		})
	}
}
