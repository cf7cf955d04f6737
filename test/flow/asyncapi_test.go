package flow

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/moonx-farm/ws-gateway/internal/asyncapi"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/wire"
	"github.com/moonx-farm/ws-gateway/test/documents"
)

// described is a policy with a room for everything that the document describes.
const described = `
version: 1
rooms:
  - {match: "kept:*", join: anyone, publish: member, presence: true, history: {size: 100}}
  - {match: "short", join: anyone, publish: member, history: {size: 1}}
  - {match: "chat:*", join: anyone, publish: member, presence: true, history: {size: 100}}
  - {match: "ticks", join: anyone, publish: member}
  - {match: "lossy", join: anyone, publish: member, slow: drop_oldest, history: {size: 1000}}
  - {match: "prices", join: anyone, publish: member, slow: conflate, history: {size: 1000}}
routes:
  - {match: "order:*", http: {url: "http://backend:8080/orders"}}
  - {match: vote, room: "kept:votes", send: authenticated}
`

const signingKey = "0123456789abcdef0123456789abcdef"

// issue makes a token for a user.
func issue(user string, life time.Duration) string {
	part := base64.RawURLEncoding.EncodeToString
	head := part([]byte(`{"alg":"HS256"}`)) + "." + part(fmt.Appendf(nil, `{"sub":%q,"exp":%d}`, user, time.Now().Add(life).Unix()))
	mac := hmac.New(sha256.New, []byte(signingKey))
	_, _ = mac.Write([]byte(head))
	return head + "." + part(mac.Sum(nil))
}

// document is what the tests read of the AsyncAPI document.
type document struct {
	Operations map[string]struct {
		Action   string
		Messages []struct {
			Ref string `json:"$ref"`
		}
		Reply struct {
			Messages []struct {
				Ref string `json:"$ref"`
			}
		}
	}
	Components struct {
		Messages map[string]struct {
			Payload struct {
				Properties struct {
					Event struct{ Const string }
					Data  struct{ Properties map[string]json.RawMessage }
				}
			}
			Examples []struct{ Payload json.RawMessage }
		}
	}
}

// readDocument asks the gateway for it.
func (r *rig) readDocument() document {
	r.t.Helper()
	status, body := r.get("http://gateway:80" + asyncapi.Path)
	var d document
	if err := json.Unmarshal([]byte(body), &d); err != nil || status != 200 {
		r.t.Fatalf("%s: %d, %v", asyncapi.Path, status, err)
	}
	return d
}

// recorder keeps all frames of a client.
type recorder struct {
	*client
	into *[]documents.Frame
}

// hear reads up to the next frame of an event and keeps all of them.
func (c *recorder) hear(event string) json.RawMessage {
	c.t.Helper()
	for {
		_, b, err := c.ws.Read(c.t.Context())
		if err != nil {
			c.t.Fatalf("waiting for %s: %v", event, err)
		}
		if name := c.keep(b); name == event {
			return b
		}
	}
}

// keep adds a frame and returns its event.
func (c *recorder) keep(b []byte) string {
	c.t.Helper()
	var frame struct {
		Event string
		ID    json.RawMessage
	}
	if err := json.Unmarshal(b, &frame); err != nil {
		c.t.Fatalf("%s: %v", b, err)
	}
	key := frame.Event
	switch {
	case key == wire.EventHistory, key == wire.EventPresence:
		key += "Reply"
	case wire.Reserved(key):
	case frame.ID != nil:
		key = "routeReply"
	default:
		key = "publication"
	}
	*c.into = append(*c.into, documents.Frame{Message: key, Payload: b})
	return frame.Event
}

// ask sends a request and reads up to its reply.
func (c *recorder) ask(reply, event, data string) {
	c.t.Helper()
	c.send(fmt.Sprintf(`{"event":%q,"id":"r-1","data":%s}`, event, data))
	for !strings.Contains(string(c.hear(reply)), `"id":"r-1"`) { // another one, that nobody asked for
	}
}

// visit connects with a token.
func (r *rig) visit(token string, into *[]documents.Frame) *recorder {
	r.t.Helper()
	c, resp := r.dial(token)
	if c == nil {
		r.t.Fatalf("dial: %+v", resp)
	}
	c.ws.SetReadLimit(-1)
	return &recorder{c, into}
}

// TestEveryFrameOfARunningGatewayIsAsTheDocumentSays gets every message that
// the document says the gateway sends, most of them in several forms.
func TestEveryFrameOfARunningGatewayIsAsTheDocumentSays(t *testing.T) {
	var frames []documents.Frame
	var d document
	environ := []string{policyFile(t, described), "AUTH_JWT_SECRET=" + signingKey, "SEND_QUEUE_BYTES=524288", "HEARTBEAT_INTERVAL=24h"}
	inBubble(t, environ, func(t *testing.T, r *rig) {
		d = r.readDocument()
		_, stop := r.serve()
		defer stop()
		ann := r.visit(issue("ann", time.Hour), &frames)
		ann.hear("room_joined")
		ann.everyReply(r)
		ann.otherPeople(r)
		r.behind(&frames)

		carol := r.visit(issue("carol", 4*time.Minute), &frames)
		carol.hear("token_expiring")
		_ = carol.ws.CloseNow()
		var stopping sync.WaitGroup
		stopping.Go(func() { r.app.RequireStop() })
		ann.until(websocket.StatusServiceRestart)
		stopping.Wait()
	})

	seen := map[string]int{}
	for _, f := range frames {
		seen[f.Message]++
	}
	want := map[string]bool{}
	for _, op := range d.Operations {
		sent := op.Reply.Messages
		if op.Action == "send" {
			sent = op.Messages
		}
		for _, m := range sent {
			want[filepath.Base(m.Ref)] = true
		}
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if seen[key] == 0 {
			t.Errorf("the test got no %s", key)
		}
	}
	t.Logf("%v", seen)
	documents.CheckFrames(t, frames)
}

// everyReply asks for every reply in its forms.
func (c *recorder) everyReply(r *rig) {
	c.t.Helper()
	c.ask("authenticated", "authenticate", `{"token":"`+issue("ann", 2*time.Hour)+`"}`)
	for _, room := range []string{"kept:a", "short", "ticks"} {
		c.ask("room_joined", "join_room", `{"room":"`+room+`"}`)
		c.ask("published", "publish", `{"room":"`+room+`","event":"message","data":{"text":"hi"}}`)
		c.hear("message")
	}
	first := r.publish("short", 3)[0]
	c.ask("room_joined", "join_room", `{"room":"short","since":"`+first+`"}`) // trimmed
	seen := r.publish("kept:a", 2)[0]
	c.ask("room_joined", "join_room", `{"room":"kept:a","since":"`+seen+`"}`)
	c.hear("n")
	c.ask("history", "history", `{"room":"kept:a"}`)
	c.ask("history", "history", `{"room":"kept:a","since":"`+seen+`","limit":0}`)
	c.ask("presence", "presence", `{"room":"kept:a"}`)
	c.ask("pong", "ping", `{}`)
	c.ask("order:create", "order:create", `{"n":1}`)
	c.ask("error", "order:create", `{"n":0}`) // with a reason of the service
	c.ask("published", "vote", `{}`)
	c.ask("error", "history", `{"room":"short","since":"`+first+`"}`)
	c.ask("error", "dance", `{}`)
	c.send(`{"nothing":1}`)
	c.hear("error")
	c.ask("room_left", "leave_room", `{"room":"short"}`)
}

// otherPeople has events come without having been asked for.
func (c *recorder) otherPeople(r *rig) {
	c.t.Helper()
	bob := r.visit(issue("bob", time.Hour), c.into)
	var greeting struct{ Data struct{ ConnectionID string } }
	if err := json.Unmarshal(bob.hear("connected"), &greeting); err != nil {
		c.t.Fatal(err)
	}
	bob.ask("room_joined", "join_room", `{"room":"kept:a"}`)
	c.hear("member_joined")
	if _, err := r.router.Unsubscribe(router.Target{User: "bob"}, "kept:a"); err != nil {
		c.t.Fatal(err)
	}
	bob.hear("room_left")
	c.hear("member_left")
	news := router.Outgoing{Event: "news"}
	if err := r.router.SendEveryone(c.t.Context(), news); err != nil {
		c.t.Fatal(err)
	}
	c.hear("news")
	bob.hear("news")
	if n, err := r.router.SendConnections([]string{greeting.Data.ConnectionID}, news); n != 1 || err != nil {
		c.t.Fatal(n, err)
	}
	bob.hear("news")
	_ = bob.ws.CloseNow()
}

// behind has a client fall behind in rooms that leave publications out.
func (r *rig) behind(frames *[]documents.Frame) {
	r.t.Helper()
	for room, told := range map[string]string{"lossy": `"event":"gap"`, "prices": `"skipped":`} {
		c := r.visit(issue("dan", time.Hour), frames)
		c.ask("room_joined", "join_room", `{"room":"`+room+`"}`)
		data, err := json.Marshal(strings.Repeat("x", 4096))
		if err != nil {
			r.t.Fatal(err)
		}
		for i := range 300 { // more than the queue holds, which holds more than is written at once
			o := router.Outgoing{Event: "price", Data: data, ConflateKey: strconv.Itoa(i % 3)}
			if i == 299 {
				o.Event = "last"
			}
			if _, err := r.router.SendRoom(r.t.Context(), room, o); err != nil {
				r.t.Fatal(err)
			}
		}
		synctest.Wait()
		before := len(*frames)
		c.hear("last")
		if !slices.ContainsFunc((*frames)[before:], func(f documents.Frame) bool { return strings.Contains(string(f.Payload), told) }) {
			r.t.Errorf("in %s nothing was left out", room)
		}
		_ = c.ws.CloseNow()
	}
}

// until keeps what comes before the connection is closed with a code.
func (c *recorder) until(code websocket.StatusCode) {
	c.t.Helper()
	for {
		_, b, err := c.ws.Read(c.t.Context())
		if err != nil {
			if got := websocket.CloseStatus(err); got != code {
				c.t.Errorf("closed with %d: %v", got, errors.Unwrap(err))
			}
			return
		}
		c.keep(b)
	}
}

// TestTheGatewayTakesWhatTheDocumentSaysAndNothingElse sends the examples of
// all requests, and every word of the router's code as a field of each: the
// gateway must know those that the document has, and no other.
func TestTheGatewayTakesWhatTheDocumentSaysAndNothingElse(t *testing.T) {
	words := literals(t, "../../internal/router")
	inBubble(t, []string{policyFile(t, described), "AUTH_JWT_SECRET=" + signingKey}, func(t *testing.T, r *rig) {
		_, stop := r.serve()
		defer stop()
		var frames []documents.Frame
		c := r.visit(issue("ann", time.Hour), &frames)
		c.hear("room_joined")
		d := r.readDocument()
		for name, op := range d.Operations {
			if op.Action != "receive" {
				continue
			}
			m := d.Components.Messages[filepath.Base(op.Messages[0].Ref)]
			for _, e := range m.Examples {
				c.try(e.Payload)
				if last := string(frames[len(frames)-1].Payload); strings.Contains(last, "invalid_message") {
					t.Errorf("the example of %s %s: %s", name, e.Payload, last)
				}
			}
			if m.Payload.Properties.Data.Properties == nil {
				continue
			}
			for field := range m.Payload.Properties.Data.Properties {
				words[field] = true
			}
			for word := range words {
				c.try(fmt.Appendf(nil, `{"event":%q,"id":1,"data":{%q:{}}}`, m.Payload.Properties.Event.Const, word))
				unknown := strings.Contains(string(frames[len(frames)-1].Payload), "a field that this event does not know")
				if _, known := m.Payload.Properties.Data.Properties[word]; known == unknown {
					t.Errorf("%s {%s}: in the document %v, in the code %v", name, word, known, !unknown)
				}
			}
		}
	})
}

// try sends a request, and a ping to know by when it is answered: what came
// last before the pong is the answer.
func (c *recorder) try(request []byte) {
	c.t.Helper()
	c.send(string(request))
	synctest.Wait() // replies of services and of the broker
	c.send(`{"event":"ping","id":"end"}`)
	for {
		_, b, err := c.ws.Read(c.t.Context())
		if err != nil {
			c.t.Fatalf("%s: %v", request, err)
		}
		if strings.HasPrefix(string(b), `{"event":"pong","id":"end"`) {
			return
		}
		c.keep(b)
	}
}

// literals are the words that stand as strings in the code of a package.
func literals(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	words := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if s, err := strconv.Unquote(lit.Value); err == nil && s != "" && strings.IndexFunc(s, notLetter) < 0 {
					words[s] = true
				}
			}
			return true
		})
	}
	if !words["idempotencyKey"] {
		t.Fatalf("the code of %s was not read: %v", dir, words)
	}
	return words
}

func notLetter(c rune) bool { return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') }
