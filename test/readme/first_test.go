package readme

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/test/npm"
	"github.com/moonx-farm/ws-gateway/test/testbed/browser"
)

// TestFromTheCloneToAMessageOfCurlInABrowser is what a new user does: clone, run,
// open the page, and publish with curl. It says how long that took, which counts
// four commands at most.
func TestFromTheCloneToAMessageOfCurlInABrowser(t *testing.T) {
	begun := time.Now()
	clone := filepath.Join(t.TempDir(), "ws-gateway")
	commands := []string{"git clone " + root + " " + clone, "cd " + clone}
	shell(t, ".", commands[0])

	run := strings.TrimSpace(find(t, "ADMIN_API_KEYS="+pageKey))
	if find(t, "go run ./cmd/gateway\n") != "go run ./cmd/gateway\n" || run != "ADMIN_API_KEYS="+pageKey+" go run ./cmd/gateway" {
		t.Fatalf("the gateway is started otherwise: %s", run)
	}
	commands = append(commands, run)
	g := prepare(t)
	g.run(clone, nil, "bash", "-c", "exec env "+run)
	cloned := time.Since(begun)

	b := browser.Open(t)
	b.Visit("http://localhost:" + g.admin + "/")
	b.Fill("#user", "ann")
	b.Click("#connect-lobby")
	b.WaitText(`[data-testid="frames"], #frames`, "room_joined")

	curl := find(t, "curl -sS http://localhost:9007/api/v1/publish")
	commands = append(commands, curl)
	answer := shell(t, ".", g.ports.Replace(curl))
	b.WaitText(`[data-testid="frames"], #frames`, "Hello from a backend")
	if !strings.HasPrefix(answer, `{"room":"user:ann","offset":1,"pos":"`) {
		t.Errorf("curl was answered %s", answer)
	}
	b.MustBeRight()
	if len(commands) > 4 {
		t.Errorf("%d commands", len(commands))
	}
	t.Logf("%d commands, %.1f s with the build, the gateway ready after %.1f s", len(commands), time.Since(begun).Seconds(), cloned.Seconds())
}

func TestTwoInstancesActAsOne(t *testing.T) {
	redis := redistest.Single(t)
	_, port, _ := strings.Cut(redis.Addr(), ":")
	lines := strings.Split(strings.TrimSpace(find(t, "REDIS_HOST=localhost go run")), "\n")
	if len(lines) != 2 || !strings.Contains(lines[1], "PORT=3008 ADMIN_PORT=9008") {
		t.Fatalf("%q", lines)
	}
	var all []*gateway
	for range lines {
		all = append(all, serve(t, "REDIS_HOST=localhost", "REDIS_PORT="+port))
	}
	ann, ben := all[0].connect("ann"), all[1].connect("ben")
	ann.send(`{"event":"join_room","id":1,"data":{"room":"lobby"}}`, "room_joined")
	ann.await("room_joined")
	ben.send(`{"event":"join_room","id":1,"data":{"room":"lobby"}}`, "room_joined")
	ben.await("room_joined")
	ben.send(`{"event":"publish","id":2,"data":{"room":"lobby","event":"chat","data":"over"}}`, "published")
	if got := string(ann.await("chat").Data); got != `"over"` {
		t.Errorf("got %s", got)
	}
}

// said is what a page has written to its console, as JSON.
func said(b *browser.Tab) string {
	return browser.Eval[string](b, `JSON.stringify(window.said ?? [])`)
}

const listening = `window.said = []; console.log = (...words) => said.push(words);`

func TestTheFirstClientsRunInABrowser(t *testing.T) {
	g := serve(t)
	pages := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		script := "<script>" + find(t, "const ws = new WebSocket(") + "</script>"
		if r.URL.Path == "/client" {
			script = find(t, "<script type=\"module\">")
		}
		_, _ = fmt.Fprintf(w, "<!doctype html><link rel=icon href=data:,><script>%s</script>%s", listening, g.ports.Replace(script))
	}))
	t.Cleanup(pages.Close)
	origin := strings.Replace(pages.URL, "127.0.0.1", "localhost", 1)

	b := browser.Open(t)
	b.Visit(origin + "/plain")
	b.Until("the first client has its own message", func() bool { return said(b) == `[["chat",1,{"text":"hello"}]]` })
	b.MustBeRight()
	b.Visit(origin + "/client")
	b.Until("the gateway's client has its own message", func() bool { return said(b) == `[[2,{"text":"hello"}]]` })
	b.MustBeRight()
}

// node runs a program with the packages of the e2e tests.
func node(t *testing.T, name, program string, environ ...string) *process {
	t.Helper()
	packages := npm.Packages(t, "e2e", root+"/test/e2e/testdata/node")
	path := put(t, name, program)
	shell(t, filepath.Dir(path), "ln -s "+packages+"/node_modules node_modules")
	if _, err := exec.LookPath("node"); err != nil {
		t.Fatal("this test runs the page's clients in Node.js, and there is none in PATH: install it (Debian and Ubuntu: apt-get install nodejs)")
	}
	return start(t, filepath.Dir(path), environ, "node", path)
}

func TestTheSocketIOClientRunsInNode(t *testing.T) {
	g := serve(t)
	program := find(t, "import { io } from 'socket.io-client';") + "const rooms = ['lobby'];\n" + find(t, "socket.on('connect', () => {\n")
	p := node(t, "client.mjs", g.ports.Replace(program))
	until(t, "the client has its own message", func() bool {
		if p.over() {
			t.Fatalf("it has ended: %s", p.log.String())
		}
		return strings.Contains(p.log.String(), "lobby 1 { text: 'hello' }")
	})
}

func TestTheEmitterReachesClients(t *testing.T) {
	redis := redistest.Single(t)
	g := serve(t, "REDIS_URL=redis://"+redis.Addr())
	c := g.connect("ben")
	c.send(`{"event":"join_room","id":1,"data":{"room":"news"}}`, "room_joined")
	c.await("room_joined")
	program := "(async () => {\n" + find(t, "const { createClient } = require(\"redis\");") + "await client.quit();\n})();\n"
	p := node(t, "backend.cjs", program, "REDIS_URL=redis://"+redis.Addr())
	var data []json.RawMessage
	if err := json.Unmarshal(c.await("headline").Data, &data); err != nil || len(data) != 2 || string(data[0]) != `{"text":"Hello"}` {
		t.Errorf("%v: %s", err, data)
	}
	until(t, "the backend ends", p.over)
}
