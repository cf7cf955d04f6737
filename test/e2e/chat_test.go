package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/test/testbed/browser"
)

// chatter is a page that chats, see testdata/node/chat.js.
type chatter struct {
	*browser.Tab
	user string
}

// chats opens a page that stays in the room and publishes, with a kind of client.
func chats(t *testing.T, b *browser.Tab, page, kind, url, user string) *chatter {
	t.Helper()
	b.Visit(page)
	browser.Eval[any](b, `void (window.state = chat(%s, %s, %s))`, browser.Quote(kind), browser.Quote(url), browser.Quote(user))
	c := &chatter{b, user}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s's page: %s", user, browser.Eval[string](b, `JSON.stringify({...state, got: state.got.slice(-5)})`))
		}
	})
	return c
}

// said is how many messages of its own a page knows to be stored.
func (c *chatter) said() int {
	return browser.Eval[int](c.Tab, `state.said`)
}

// log is what has become of a page's connections.
func (c *chatter) log() []string {
	return browser.Eval[[]string](c.Tab, `state.log`)
}

// got are the messages as a page has them.
func (c *chatter) got() []string {
	return browser.Eval[[]string](c.Tab, `state.got.map((m) => m.join(' '))`)
}

// longHistory is a policy of rooms that keep more than is said while a client is
// on its way back.
const longHistory = `
version: 1
rooms:
  - {match: "**", join: anyone, publish: member, history: {size: 10000, age: 1h}}
`

// chatSite serves the pages.
func chatSite(t *testing.T) *httptest.Server {
	t.Helper()
	bundle := filepath.Join(packages(t), "node_modules/socket.io-client/dist/socket.io.min.js")
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/socket.io.min.js":
			http.ServeFile(w, r, bundle)
		case "/chat.js":
			http.ServeFile(w, r, "testdata/node/chat.js")
		default:
			_, _ = fmt.Fprint(w, `<!doctype html><meta charset="utf-8"><title>chat</title><link rel="icon" href="data:,">`+
				`<script src="/socket.io.min.js"></script><script src="/chat.js"></script>`)
		}
	}))
	t.Cleanup(site.Close)
	return site
}

// TestTwoBrowsersChatThroughTheDeathOfAGateway has a page on io(url) and one on a
// plain WebSocket, each on an instance of its own, and kills one of the two.
func TestTwoBrowsersChatThroughTheDeathOfAGateway(t *testing.T) {
	for name, victim := range map[string]int{"of the page on io(url)": 0, "of the plain page": 1} {
		t.Run(name, func(t *testing.T) {
			site := chatSite(t)
			redis := redistest.Single(t)
			policy := filepath.Join(t.TempDir(), "policy.yaml")
			if err := os.WriteFile(policy, []byte(longHistory), 0o600); err != nil {
				t.Fatal(err)
			}
			var gateways []*gatewayProcess
			var homes []string
			for n := range 2 {
				p := freePorts(t)
				gateways = append(gateways, serve(t, p, fmt.Sprint("INSTANCE_ID=gw-", n), "POLICY_FILE="+policy,
					"REDIS_URL=redis://"+redis.Addr(), "SOCKETIO_RECOVERY=2m", "ALLOWED_ORIGINS="+site.URL))
				homes = append(homes, fmt.Sprintf("127.0.0.1:%d", p.public))
			}
			b := browser.Open(t)
			ann := chats(t, b, site.URL, "bySocketIO", "http://"+balance(t, homes[0], homes[1]).address(), "ann")
			bob := chats(t, b.Another(), site.URL, "byWebSocket", "ws://"+balance(t, homes[1], homes[0]).address()+"/ws", "bob")
			pages := []*chatter{ann, bob}
			for _, c := range pages {
				until(t, c.user+" is in the room", func() bool { return browser.Eval[bool](c.Tab, `state.log.some((line) => line.startsWith('joined'))`) })
			}
			for _, c := range pages {
				browser.Eval[any](c.Tab, `void (state.begun = true)`)
			}
			for _, c := range pages {
				until(t, c.user+" has published", func() bool { return c.said() >= 50 })
			}
			until(t, "ann has moved to a WebSocket", func() bool { return browser.Eval[string](ann.Tab, `state.transport()`) == "websocket" })

			_ = gateways[victim].cmd.Process.Kill()
			<-gateways[victim].ended
			for _, c := range pages {
				before := c.said()
				until(t, c.user+" goes on", func() bool { return c.said() >= before+50 })
			}
			for _, c := range pages {
				browser.Eval[any](c.Tab, `void (state.over = true)`)
				until(t, c.user+" has said the last", func() bool { return browser.Eval[bool](c.Tab, `state.ended`) })
			}
			total := ann.said() + bob.said()
			for _, c := range pages {
				until(t, c.user+" has all", func() bool { return browser.Eval[int](c.Tab, `state.got.at(-1)[0]`) >= total })
			}

			want := [][]string{{"connect false", "joined true"}, {"joined false"}} // there was nothing to recover
			want[victim] = [][]string{
				{"connect false", "joined true", "disconnect transport close", "connect true"},
				{"joined false", "close 1006", "joined true"},
			}[victim]
			for n, c := range pages {
				t.Logf("%s: %q, %d messages of %d, %d repeats dropped", c.user, c.log(), c.said(), total, browser.Eval[int](c.Tab, `state.repeats`))
				if got := c.log(); !slices.Equal(meant(got), want[n]) {
					t.Errorf("%s's connections: %q, want %q", c.user, got, want[n])
				}
			}
			inOrder(t, ann.got(), total)
			if !slices.Equal(ann.got(), bob.got()) {
				t.Error("the pages have not got the same")
			}
		})
	}
}

// meant leaves out attempts that came to nothing.
func meant(log []string) []string {
	return slices.Compact(slices.DeleteFunc(slices.Clone(log), func(line string) bool { return strings.HasPrefix(line, "connect_error ") }))
}

// inOrder checks that a page has got every message once: offsets without a hole,
// and each user's numbers in their order.
func inOrder(t *testing.T, lines []string, total int) {
	t.Helper()
	if len(lines) != total {
		t.Errorf("%d messages of %d", len(lines), total)
	}
	last := map[string]int{}
	for n, line := range lines {
		var offset, number int
		var user string
		if _, err := fmt.Sscan(line, &offset, &user, &number); err != nil {
			t.Fatal(err)
		}
		if offset != n+1 || number != last[user]+1 {
			t.Fatalf("message %d is %q after %d of the same user", n+1, line, last[user])
		}
		last[user] = number
	}
}
