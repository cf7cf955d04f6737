package console

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moonx-farm/ws-gateway/test/npm"
	"github.com/moonx-farm/ws-gateway/test/testbed"
	"github.com/moonx-farm/ws-gateway/test/testbed/browser"
)

// frames selects received frames of an event in the log.
func frames(event string) string {
	return `[data-testid="frame"][data-direction="in"][data-event="` + event + `"]`
}

// enter connects as a user into the lobby, by one of the protocols.
func enter(b *browser.Tab, protocol, user string) {
	b.WaitFor("#connect-lobby:enabled")
	b.Click(`[name="protocol"][value="` + protocol + `"]`)
	b.Fill("#user", user)
	b.Click("#connect-lobby")
	b.WaitFor(`body[data-state="online"]`)
	b.WaitFor(`#rooms [data-room="lobby"][data-joined="true"]`)
}

func TestAPlainAndASocketIOTabTalkOverTwoGateways(t *testing.T) {
	f := start(t)
	ann := f.open(t, "try")
	ben := ann.Another()
	f.two.show(ben, "try")
	enter(ann, "plain", "ann")
	enter(ben, "socketio", "ben")
	ann.WaitText("#fact-instance", "one")
	ben.WaitText("#fact-instance", "two")
	ann.WaitText(`[data-room="lobby"]`, "2 here")
	ben.WaitText("#state", "Connected as ben")

	ann.Fill("#data", `{"text": "Hello <b>Ben</b>", "n": 12345678901234567890}`)
	ann.Click("#publish")
	ben.WaitFor(frames("message"))
	ben.Click(frames("message") + " summary")
	ben.WaitText(`[data-testid="frame-json"]`, `"text": "Hello <b>Ben</b>"`)
	ben.WaitText(`[data-testid="frame-json"]`, `"n": 12345678901234567890`)

	ben.Fill("#event", "answer")
	ben.Fill("#data", `{"text": "Hello Ann"}`)
	ben.Click("#publish")
	ann.WaitFor(frames("answer"))
	ben.WaitFor(frames("published"))

	ben.Fill("#room", "user:ann")
	ben.Click("#join")
	ben.WaitText("#notice", "Not allowed: ")
	ben.WaitFor(frames("error"))

	inspect(t, ann, "try-connected")
	inspect(t, ben, "try-socketio")
	ben.Click(`[aria-label="Leave lobby"]`)
	ben.WaitFor(`#rooms:not(:has([data-room="lobby"]))`)
	ben.Click("#disconnect")
	ben.WaitFor(`body[data-state="idle"]`)
	ann.WaitText(`[data-room="lobby"]`, "1 here")
	ann.MustBeRight()
	ben.MustBeRight()
}

func TestFramesSayWhenTheyCameAndHowLongTheReplyTook(t *testing.T) {
	g := serve(t, "one")
	b := browser.Open(t)
	for _, protocol := range []string{"plain", "socketio"} {
		g.show(b, "try")
		enter(b, protocol, "ann")
		b.Click("#publish")
		b.WaitFor(frames("published"))
		if took := b.Text(frames("published") + " .frame-took"); !strings.HasSuffix(took, " ms") {
			t.Errorf("%s: the reply came after %q", protocol, took)
		}
		if since := b.Text(frames("published") + " .frame-time"); !strings.HasPrefix(since, "+") {
			t.Errorf("%s: the reply came at %q", protocol, since)
		}
		b.Click(frames("published") + " summary")
		b.WaitText(frames("published"), "after its request")
		b.WaitText(frames("published"), "after the connection was begun")
	}
	b.MustBeRight()
}

func TestTheConnectionLivesOnWhileAnotherViewIsLookedAt(t *testing.T) {
	g := serve(t, "one")
	b := browser.Open(t)
	g.show(b, "try")
	enter(b, "plain", "ann")
	b.Click(`#nav [data-view="settings"]`)
	giveKey(b)
	b.WaitFor(viewOf("settings"))
	other := g.connect(t, "ben")
	other.request("join_room", map[string]string{"room": "lobby"})
	other.request("publish", map[string]any{"room": "lobby", "event": "while-away", "data": 1})
	b.Click(`#nav [data-view="try"]`)
	b.WaitFor(frames("while-away"))
	b.WaitText("#state", "Connected as ann")
	b.WaitText(`[data-room="lobby"]`, "2 here")
	b.MustBeRight()
}

func TestASocketIOTabStaysAwayAfterADisconnectAndComesBackInADrain(t *testing.T) {
	f := start(t)
	b := f.open(t, "try")
	enter(b, "socketio", "ann")
	f.one.ask("POST", "/api/v1/disconnect", map[string]string{"user": "ann"}, nil)
	b.WaitFor(`body[data-state="idle"]`) // 4003: not to come back
	b.WaitText("#notice", "ended by a backend or an operator")
	b.Click("#connect-lobby")
	b.WaitFor(`body[data-state="online"]`)
	f.one.stop()
	b.WaitFor(frames("reconnect"))
	b.WaitFor(`body[data-state="waiting"]`) // again and again: nobody is there
	b.Click("#disconnect")
	b.WaitFor(`body[data-state="idle"]`)
}

// TestTheCodeDoesWhatItSays runs what the page gives to be copied.
func TestTheCodeDoesWhatItSays(t *testing.T) {
	g := serve(t, "one")
	dir := t.TempDir()
	packages := npm.Packages(t, "console", "testdata/node")
	if err := os.Symlink(filepath.Join(packages, "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	run := func(name string, args ...string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Dir, cmd.Env, cmd.SysProcAttr = dir, append(os.Environ(), "API_KEY="+apiKey), testbed.Attributes()
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s %q: %v\n%s", name, args, err, out)
		}
	}
	run("curl", "-sSfo", "client.mjs", "http://"+g.public+"/client.js")
	b := browser.Open(t)
	g.show(b, "try")
	enter(b, "plain", "ann")
	b.Fill("#data", `{"text": "It's \"code\"", "n": 12345678901234567890}`)
	b.Fill("#event", "code")
	const seen = `document.querySelectorAll('[data-direction="in"][data-event="code"]').length`
	published := 0
	arrives := func(what string) {
		t.Helper()
		published++
		b.Until(what+" has published", func() bool { return browser.Eval[int](b, "%s", seen) == published })
	}

	b.Click(`[name="language"][value="curl"]`)
	run("sh", "-ec", b.Text("#code"))
	arrives("curl")

	b.Click(`[name="language"][value="node"]`)
	run("node", append(nodeFlags(t), "--input-type=module", "--eval", b.Text("#code")+"\nclient.close();")...)
	arrives("Node.js")

	b.Click(`[name="language"][value="browser"]`)
	b.WaitText("#code", "/client.js'")
	page := "<!doctype html><title>a page</title><script type=module>" + b.Text("#code") + "</script>"
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, page)
	}))
	t.Cleanup(site.Close)
	b.Another().Visit(site.URL)
	arrives("the browser")

	b.Click("#disconnect")
	b.Click(`[name="protocol"][value="socketio"]`)
	b.WaitText("#code", "socket.io-client")
	b.Click("#connect-lobby")
	b.WaitFor(`#rooms [data-room="lobby"][data-joined="true"]`)
	b.Click(`[name="language"][value="node"]`)
	run("node", "--input-type=module", "--eval", b.Text("#code")+"\nsocket.on('code', () => socket.close());")
	arrives("socket.io-client")
	b.MustBeRight()
}

func TestCopyingPutsTheCodeIntoTheClipboardOrSelectsIt(t *testing.T) {
	g := serve(t, "one")
	b := browser.Open(t)
	g.show(b, "try")
	b.Run(`navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); }`)
	b.Click("#copy")
	b.WaitText("#copy", "Copied")
	if copied := browser.Eval[string](b, `window.copied`); copied != b.Text("#code") {
		t.Errorf("copied %q", copied)
	}
	b.Run(`navigator.clipboard.writeText = () => Promise.reject(new Error('no'))`)
	b.Click("#copy")
	b.WaitText("#notice", "The code is selected")
	if selected := browser.Eval[string](b, `getSelection().toString()`); selected != b.Text("#code") {
		t.Errorf("selected %q", selected)
	}
	b.Fill("#data", "{oops")
	b.WaitText("#code", "Data is not JSON")
	b.WaitFor("#copy:disabled")
}

// nodeFlags are what Node.js 20 needs to have a WebSocket of its own.
func nodeFlags(t *testing.T) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "node", "--print", "typeof WebSocket").Output()
	if err != nil {
		t.Fatalf("node: %v", err)
	}
	if strings.TrimSpace(string(out)) == "function" {
		return nil
	}
	return []string{"--experimental-websocket"}
}
