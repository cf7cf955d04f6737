package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/test/testbed"
	"github.com/moonx-farm/ws-gateway/test/testbed/browser"
)

func (p ports) url() string    { return fmt.Sprintf("http://127.0.0.1:%d", p.public) }
func (p ports) admins() string { return fmt.Sprintf("http://127.0.0.1:%d", p.admin) }

func TestClientsOfSocketIOTalkThroughTheGateway(t *testing.T) {
	g := serve(t, freePorts(t), "SOCKETIO_NAMESPACES=/chat")
	node(t, nil, "clients.js", g.ports.url())
}

// knows is an auth service that knows two users.
func knows(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	for _, user := range []string{"ann", "bob"} {
		if strings.Contains(string(body)+r.Header.Get("Authorization"), "token-"+user) {
			_, _ = fmt.Fprintf(w, `{"user":{"id":%q},"expiresIn":3600}`, user)
			return
		}
	}
	http.Error(w, "no such token", http.StatusUnauthorized)
}

func TestClientsOfSocketIOAreRefused(t *testing.T) {
	service := httptest.NewServer(http.HandlerFunc(knows))
	defer service.Close()
	const key = "a key of this test's backend"
	g := serve(t, freePorts(t), "SOCKETIO_NAMESPACES=/chat", "AUTH_SERVICE_URL="+service.URL, "ADMIN_API_KEYS="+key)
	node(t, nil, "refused.js", g.ports.url(), g.ports.admins(), key)
}

func TestClientsOfSocketIOAnswerTheBackend(t *testing.T) {
	const key = "a key of this test's backend"
	g := serve(t, freePorts(t), "SOCKETIO_NAMESPACES=/chat", "SOCKETIO_RECOVERY=1m", "ADMIN_API_KEYS="+key)
	node(t, nil, "ask.js", g.ports.url(), g.ports.admins(), key)
}

func TestClientsOfSocketIOComeBack(t *testing.T) {
	p := freePorts(t)
	g := serve(t, p)
	node(t, answers{
		"restart": func() string {
			_ = g.cmd.Process.Kill()
			<-g.ended
			g = serve(t, p)
			return "done"
		},
		"drain": func() string {
			g.term()
			if code := g.wait(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			g = serve(t, p)
			return "done"
		},
	}, "reconnect.js", p.url())
}

// ticker publishes to a room until it is stopped.
type ticker struct {
	peer
	stop chan struct{}
	last chan string // the offset of the last publication
}

func (k *ticker) run() {
	for i := 0; ; i++ {
		select {
		case <-k.stop:
			k.last <- k.publish(i)
			return
		case <-time.After(2 * time.Millisecond):
			k.publish(i)
		}
	}
}

// publish returns the offset, or what is wrong.
func (k *ticker) publish(i int) string {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	request := fmt.Sprintf(`{"event":"publish","id":"t%d","data":{"room":"busy","event":"tick","data":%d,"echo":false}}`, i, i)
	if err := k.ws.Write(ctx, websocket.MessageText, []byte(request)); err != nil {
		return err.Error()
	}
	for {
		_, b, err := k.ws.Read(ctx)
		if err != nil {
			return err.Error()
		}
		var m struct {
			ID   any
			Data struct{ Offset int }
		}
		if json.Unmarshal(b, &m) == nil && m.ID == fmt.Sprintf("t%d", i) {
			return strconv.Itoa(m.Data.Offset)
		}
	}
}

func TestClientsOfSocketIOMissNothingWhileTheyUpgrade(t *testing.T) {
	g := serve(t, freePorts(t))
	k := &ticker{stop: make(chan struct{}), last: make(chan string, 1)}
	var running sync.WaitGroup
	defer running.Wait()
	stop := sync.OnceFunc(func() { close(k.stop) })
	defer stop()
	node(t, answers{
		"begin": func() string {
			k.peer = dial(t, g.ports, "publisher")
			k.send(`{"event":"join_room","id":1,"data":{"room":"busy"}}`)
			for m := k.until("room_joined"); m.ID != 1; m = k.until("room_joined") {
				continue // of the user's own room
			}
			running.Go(k.run)
			return "begun"
		},
		"end": func() string {
			stop()
			return <-k.last
		},
	}, "traffic.js", g.ports.url())
}

// TestThePlansOwnTest is as the plan has it: the gateway that go run makes, with
// nothing set, and io('http://localhost:3007').
func TestThePlansOwnTest(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), scriptTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "run", "../../cmd/gateway")
	cmd.Env = append(os.Environ(), "DRAIN_WINDOW=0s")
	port := 3007
	if taken(port) {
		p := freePorts(t)
		t.Logf("port %d is taken on this machine: the plan's test is made on port %d", port, p.public)
		port = p.public
		cmd.Env = append(cmd.Env, fmt.Sprint("PORT=", p.public), fmt.Sprint("ADMIN_PORT=", p.admin))
	} else if taken(9007) {
		cmd.Env = append(cmd.Env, fmt.Sprint("ADMIN_PORT=", freePorts(t).admin))
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // go run does not pass signals on
	var said testbed.Output
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		_ = cmd.Wait() // go run says what the signal was
		until(t, "the gateway has ended", func() bool { return status(fmt.Sprintf("http://localhost:%d/health/ready", port)) == 0 })
		if t.Failed() {
			t.Logf("the gateway said:\n%s", &said)
		}
	}()
	for begun := time.Now(); status(fmt.Sprintf("http://localhost:%d/health/ready", port)) != http.StatusOK; time.Sleep(20 * time.Millisecond) {
		if time.Since(begun) > scriptTime {
			t.Fatalf("the gateway does not become ready; it said:\n%s", &said)
		}
	}
	node(t, nil, "plan.js", fmt.Sprintf("http://localhost:%d", port))
}

// taken tells whether somebody listens on a port.
func taken(port int) bool {
	l, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		return true
	}
	_ = l.Close()
	return false
}

func TestRedisEmitterReachesTheClientsOfAllGateways(t *testing.T) {
	redis := "redis://" + redistest.Single(t).Addr()
	here, there := serve(t, freePorts(t), "REDIS_URL="+redis), serve(t, freePorts(t), "REDIS_URL="+redis)
	var plain peer
	node(t, answers{
		"listen": func() string {
			plain = dial(t, there.ports, "plain")
			plain.send(`{"event":"join_room","id":1,"data":{"room":"plain"}}`)
			for m := plain.until("room_joined"); m.ID != 1; m = plain.until("room_joined") {
				continue // of the user's own room
			}
			return "done"
		},
		"heard": func() string { return string(plain.until("said").Data) },
	}, "emitter.js", here.ports.url(), there.ports.url(), redis)
}

func TestAPageWithTheBundleOfSocketIOChatsWithPlainClients(t *testing.T) {
	pages := http.FileServer(http.Dir("testdata/node"))
	bundle := filepath.Join(packages(t), "node_modules/socket.io-client/dist/socket.io.min.js")
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/socket.io.min.js":
			http.ServeFile(w, r, bundle)
		case "/favicon.ico":
			w.WriteHeader(http.StatusNoContent)
		default:
			pages.ServeHTTP(w, r)
		}
	}))
	defer site.Close()
	g := serve(t, freePorts(t), "ALLOWED_ORIGINS="+site.URL)
	bob := dial(t, g.ports, "bob")
	bob.send(`{"event":"join_room","id":1,"data":{"room":"lobby"}}`)
	for m := bob.until("room_joined"); m.ID != 1; m = bob.until("room_joined") {
		continue // of the user's own room
	}
	b := browser.Open(t)
	b.Visit(site.URL + "/page.html")
	for i, options := range []string{`{}`, `{withCredentials: true}`, `{transports: ['polling'], withCredentials: true}`, `{transports: ['websocket']}`} {
		t.Run(options, func(t *testing.T) {
			browser.Eval[any](b, `void (() => {
				window.heard = [];
				window.socket = io(%s, {forceNew: true, auth: {token: 'ann'}, ...%s});
				for (const event of ['connected', 'chat', 'connect_error', 'error']) {
					socket.on(event, (...args) => heard.push([event, ...args]));
				}
				socket.on('connected', () => socket.emit('join_room', {room: 'lobby'}, (reply) => heard.push(['joined', reply.ok])));
			})()`,
				browser.Quote(g.ports.url()), options)
			until(t, "the page has joined", func() bool { return browser.Eval[bool](b, `heard.some(([e, ok]) => e === 'joined' && ok)`) })
			want := "websocket"
			if strings.Contains(options, "polling") {
				want = "polling"
			}
			until(t, "its transport is "+want, func() bool { return browser.Eval[string](b, `socket.io.engine.transport.name`) == want })
			text := fmt.Sprintf("hello %d", i)
			browser.Eval[any](b, `void socket.emit('publish', {room: 'lobby', event: 'chat', data: {text: %s, bytes: Uint8Array.of(1, 2).buffer}})`, browser.Quote(text))
			if m := bob.until("chat"); string(m.Data) != fmt.Sprintf(`{"text":%q,"bytes":{"_binary":true,"base64":"AQI="}}`, text) {
				t.Errorf("the plain client got %s", m.Data)
			}
			bob.send(`{"event":"publish","id":2,"data":{"room":"lobby","event":"chat","data":{"n":%d,"bytes":{"_binary":true,"base64":"AwQ="}}}}`, i)
			until(t, "the page hears it", func() bool {
				return browser.Eval[bool](b, `heard.some(([e, d, place]) => e === 'chat' && d.n === %d && place.room === 'lobby' && new Uint8Array(d.bytes)[1] === 4)`, i)
			})
			for m := bob.until("chat"); !strings.Contains(string(m.Data), `"n"`); m = bob.until("chat") {
				continue // up to its own copy
			}
			browser.Eval[any](b, `void socket.close()`)
		})
	}
	b.MustBeRight()
}
