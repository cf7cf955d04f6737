package console

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/coder/websocket"

	"github.com/moonx-farm/ws-gateway/test/testbed/browser"
)

// look goes to another page of Look up without loading anew, and waits for it.
func look(b *browser.Tab, kind, name string) {
	b.Click(`input[name="lookup-kind"][value="` + kind + `"]`)
	b.Fill("#lookup-name", name)
	b.Press(kb.Enter)
	b.WaitFor(`[data-testid="` + kind + `"]`)
	b.WaitText(`[data-testid="`+kind+`"] h2`, name)
}

const (
	question = `dialog[open]`
	yes      = `dialog[open] [data-testid="confirm"]`
	no       = `dialog[open] [data-testid="cancel"]`
)

// closedWith checks how the gateway has ended a connection.
func (c *client) closedWith(code websocket.StatusCode) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	for {
		if _, _, err := c.conn.Read(ctx); err != nil {
			var why websocket.CloseError
			if !errors.As(err, &why) || why.Code != code {
				c.t.Errorf("ended with %v, want %d", err, code)
			}
			return
		}
	}
}

func TestAUserAndItsConnectionsAreLookedUpOnAllInstancesAndDisconnected(t *testing.T) {
	f := start(t)
	here, there := f.one.connect(t, "ann"), f.two.connect(t, "ann")
	f.two.connect(t, "bob")
	there.request("join_room", map[string]any{"room": "lobby"})
	there.request("publish", map[string]any{"room": "lobby", "event": "message", "data": 1})

	b := f.open(t, "lookup")
	b.WaitText(`[data-testid="instances"]`, "two")
	b.WaitText(`[data-testid="counts"]`, "3 connections")
	b.WaitText(`[data-testid="rooms"]`, "lobby")
	inspect(t, b, "lookup")

	look(b, "user", "ann")
	b.Until("both connections are listed", func() bool { return b.Count(`[data-testid="user"] tbody tr`) == 2 })
	for _, want := range []string{here.id, there.id, "one", "two", "gateway.v1 over websocket", "0 B", "127.0.0.1"} {
		b.WaitText(`[data-testid="user"]`, want)
	}
	inspect(t, b, "lookup-user")

	b.Click(`[data-testid="user"] a[href$="` + there.id + `"]`)
	b.WaitText(`[data-testid="connection"] h2`, there.id)
	for _, want := range []string{"ann", "two", "gateway.v1 over websocket", "wait for the client", "Last seen", "Connected"} {
		b.WaitText(`[data-testid="connection"]`, want)
	}
	b.WaitText(`[data-testid="seats"] h2`, "2 rooms")
	b.WaitText(`[data-testid="seats"]`, "lobby")
	b.WaitText(`[data-testid="seats"]`, "user:ann")
	inspect(t, b, "lookup-connection")

	b.Click(`[data-testid="disconnect"]`)
	b.WaitText(question, "4003")
	b.WaitText(question, "two")
	b.Click(no)
	b.WaitGone(question)
	there.request("ping", nil) // it lives
	b.Click(`[data-testid="disconnect"]`)
	b.Click(yes)
	b.WaitText(`[data-testid="notice"]`, there.id+" disconnected")
	there.closedWith(4003)

	f.one.show(b, "lookup/user/ann")
	b.WaitText(`[data-testid="user"]`, here.id)
	b.Click(`[data-testid="disconnect"]`)
	b.WaitText(question, "1 connection")
	b.WaitText(question, "revoke")
	b.Click(yes)
	b.WaitText(`[data-testid="notice"]`, "1 connection of ann disconnected.")
	here.closedWith(4003)
	b.WaitText(`[data-testid="user"]`, "Not connected.")
	b.MustBeRight()
}

func TestARoomShowsItsRuleMembersHistoryAndPosition(t *testing.T) {
	f := start(t)
	ann, odd := f.one.connect(t, "ann"), f.two.connect(t, "a b/c")
	for _, c := range []*client{ann, odd} {
		c.request("join_room", map[string]any{"room": "price:eur-usd"})
	}
	for n := range 25 {
		ann.request("publish", map[string]any{"room": "price:eur-usd", "event": "tick", "conflateKey": "k", "data": map[string]any{"n": n, "text": strings.Repeat("long ", 30)}})
	}
	b := f.open(t, "lookup")
	look(b, "room", "price:eur-usd")
	for _, want := range []string{"price:*", "the last 100 publications for 1 hour", "number 25", "Conflated\nyes", "anyone", "member"} {
		b.WaitText(`[data-testid="room"]`, want)
	}
	b.WaitText(`[data-testid="members"]`, "ann")
	b.WaitText(`[data-testid="members"] h2`, "2 connections")
	b.Until("the first page of the history is there", func() bool { return b.Count(`[data-testid="history"] tbody tr`) == 20 })
	b.WaitText(`[data-testid="history"]`, `"n": 19`)
	inspect(t, b, "lookup-room")
	b.Click("#history-more")
	b.Until("all of the history is there", func() bool { return b.Count(`[data-testid="history"] tbody tr`) == 25 })
	b.WaitText("#announcer", "25 are shown")
	if !b.Focused(`[data-testid="history"] .scroll`) {
		t.Error("the focus is lost with the button that went away")
	}

	b.Click(`[data-testid="members"] a[href$="` + "a%20b%2Fc" + `"]`)
	b.WaitText(`[data-testid="user"] h2`, "a b/c")
	b.WaitText(`[data-testid="user"]`, odd.id)

	look(b, "room", "elsewhere")
	b.WaitText(`[data-testid="room"]`, "Conflated\nno")
	b.WaitText(`[data-testid="members"]`, "Nobody is in it.")
	b.WaitText(`[data-testid="history"]`, "Nothing is kept now.")
	b.MustBeRight()

	f.one.show(b, "lookup/connection/nobody")
	b.WaitText(`[data-testid="refused"]`, "There is no connection nobody on any instance.")
	inspect(t, b, "lookup-nothing")
	b.Forgive("/connections/nobody") // its 404 is what the page tells of
	b.MustBeRight()
}

func TestLookUpIsDrivenByTheKeyboardAlone(t *testing.T) {
	f := start(t)
	ann := f.two.connect(t, "ann")
	b := f.open(t, "lookup")
	b.WaitFor("#lookup-name")
	until(t, "the focus is on what to look up", func() bool {
		b.Press(kb.Tab)
		return b.Focused(`input[name="lookup-kind"]`)
	})
	b.Press(kb.ArrowRight)
	b.WaitText(`label[for="lookup-name"]`, "Connection id")
	b.Press(kb.Tab)
	b.Press(ann.id)
	b.Press(kb.Enter)
	b.WaitText(`[data-testid="connection"]`, "ann")
	until(t, "the focus is on the button", func() bool {
		b.Press(kb.Tab)
		return b.Focused(`[data-testid="disconnect"]`)
	})
	b.Press(kb.Enter)
	b.WaitFor(question)
	if !b.Focused(no) {
		t.Error("a dangerous question does not begin on Cancel")
	}
	b.Press(kb.Escape)
	b.WaitGone(question)
	if !b.Focused(`[data-testid="disconnect"]`) {
		t.Error("the focus does not come back from the question")
	}
	b.Press(kb.Enter)
	b.WaitFor(question)
	b.PressWith(kb.Tab, chromedp.ModifierShift)
	b.Press(kb.Enter)
	ann.closedWith(4003)
	b.MustBeRight()
}

func TestAnInstanceIsDrainedAfterAQuestionThatSaysWhatHappens(t *testing.T) {
	f := start(t)
	ann := f.two.connect(t, "ann")
	b := f.open(t, "lookup")
	b.Click("#drain-two")
	for _, want := range []string{"Drain two?", "1 client", "1 other instance is ready", "cannot be taken back"} {
		b.WaitText(question, want)
	}
	b.Click(no)
	b.WaitGone(question)
	ann.request("ping", nil)

	b.Click("#drain-two")
	b.Click(yes)
	b.WaitText(`[data-testid="notice"]`, "two drains.")
	ann.await("reconnect", 0)
	ann.closedWith(1012)
	b.WaitText(`[data-testid="instances"]`, "draining")
	b.Click("#drain-one")
	b.WaitText(question, "nowhere to go")
	b.Click(no)
	b.MustBeRight()
}

func TestAnInstanceThatDoesNotAnswerIsNamed(t *testing.T) {
	f := start(t, "INSTANCE_TTL=20s") // for so long it counts as living
	f.one.connect(t, "ann")
	b := f.open(t, "lookup/user/ann")
	b.WaitFor(`[data-testid="user"]`)
	f.two.kill()
	b.Until("it is named", func() bool {
		browser.Eval[any](b, `document.querySelector('#refresh').click()`) // it may be replaced meanwhile
		b.Until("the answer is there", func() bool { return b.Count(`[data-testid="user"] tbody tr`) == 1 })
		return strings.Contains(b.Text(`[data-testid="missing"]`), "two")
	})
	f.one.show(b, "lookup/connection/elsewhere")
	b.WaitText(`[data-testid="refused"]`, "not all instances have answered")
	b.Forgive("/connections/elsewhere") // its 503
	b.MustBeRight()
}

func TestALongListOfRoomsComesInPages(t *testing.T) {
	f := start(t)
	for n := range 3 {
		c := f.one.connect(t, fmt.Sprint("u", n))
		for i := range 20 {
			c.request("join_room", map[string]any{"room": fmt.Sprintf("many:%02d", 20*n+i)})
		}
	}
	b := f.open(t, "lookup")
	b.Fill("#lookup-prefix", "many:")
	b.Press(kb.Enter)
	b.Until("a page is there", func() bool { return b.Count(`[data-testid="rooms"] tbody tr`) == 50 })
	b.Click("#rooms-more")
	b.Until("all are there", func() bool { return b.Count(`[data-testid="rooms"] tbody tr`) == 60 })
	b.Fill("#lookup-prefix", "none")
	b.Press(kb.Enter)
	b.WaitText(`[data-testid="rooms"]`, "No room with members.")
	b.MustBeRight()
}
