package console

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/moonx-farm/ws-gateway/test/testbed/browser"
)

// views are those of the console, with whether they need the key.
var views = []struct {
	id       string
	needsKey bool
}{{"try", false}, {"live", true}, {"lookup", true}, {"settings", true}}

func TestEveryViewIsSoundInEveryWindow(t *testing.T) {
	f := start(t)
	f.one.connect(t, "ann").request("join_room", map[string]string{"room": "lobby"})
	f.two.connect(t, "bob").request("join_room", map[string]string{"room": "lobby"})
	b := browser.Open(t)
	for _, v := range views {
		f.one.show(b, v.id)
		inspect(t, b, v.id)
	}
	b.MustBeRight()
}

func TestTheQuestionForTheKeyIsSoundInEveryWindow(t *testing.T) {
	g := serve(t, "one")
	b := browser.Open(t)
	b.Visit(g.url("/#/live"))
	b.WaitFor("dialog #key")
	inspect(t, b, "key")
	b.Press(kb.Escape)
	b.WaitFor(`[data-testid="gate"]`)
	inspect(t, b, "gate")
	b.MustBeRight()
}

func TestAViewOfTheAPIAsksForTheKeyUntilItIsRight(t *testing.T) {
	g := serve(t, "one")
	b := browser.Open(t)
	b.Forgive("401") // the browser's own word on a wrong key
	b.Visit(g.url("/#/live"))
	b.WaitFor("dialog #key")
	if b.Has(viewOf("live")) {
		t.Error("the view is there before the key")
	}
	b.Fill("#key", "wrong, and of no use at all")
	b.Click(`[data-testid="use-key"]`)
	b.WaitText("#key-wrong", "does not accept this key")
	if b.Has(viewOf("live")) {
		t.Error("the view is there with a wrong key")
	}
	b.Click(`dialog [data-testid="cancel"]`)
	b.WaitText(`[data-testid="gate"]`, "needs an API key")
	b.Click("#unlock")
	giveKey(b)
	b.WaitFor(viewOf("live"))
	b.WaitGone("dialog")
	for _, v := range views {
		b.Click(`#nav [data-view="` + v.id + `"]`)
		b.WaitFor(viewOf(v.id))
	}
	b.Click("#forget")
	b.WaitFor("dialog #key")
	b.MustBeRight()
}

func TestTheKeyIsInTheMemoryOfItsTabAlone(t *testing.T) {
	g := serve(t, "one")
	b := browser.Open(t)
	g.show(b, "live")
	held := browser.Eval[string](b, `(async () => JSON.stringify([
		location.href, document.cookie, { ...localStorage }, { ...sessionStorage }, history.state, document.documentElement.outerHTML,
		[...document.querySelectorAll('input')].map((i) => i.value),
		(await indexedDB.databases()).map((d) => d.name), await caches?.keys(), window.name,
		performance.getEntriesByType('resource').map((e) => e.name),
	]))()`)
	if strings.Contains(held, apiKey) || strings.Contains(held, strings.ReplaceAll(apiKey, " ", "%20")) {
		t.Errorf("the key is kept: %s", held)
	}
	for what, n := range map[string]string{"cookies": `document.cookie.length`, "entries of the storages": `localStorage.length + sessionStorage.length`} {
		if got := browser.Eval[int](b, "%s", n); got != 0 {
			t.Errorf("%d %s", got, what)
		}
	}
	b.Run(`location.reload()`)
	b.WaitFor("dialog #key")
	other := b.Another()
	other.Visit(g.url("/#/live"))
	other.WaitFor("dialog #key")
	if strings.Contains(g.log.String(), apiKey) {
		t.Error("the key is in the log")
	}
}

func TestAKeyThatIsTakenAwayIsAskedForAgain(t *testing.T) {
	g := serve(t, "one")
	b := browser.Open(t)
	b.Forgive("401")
	g.show(b, "live")
	// The page's requests come with another key, as if theirs had been replaced.
	b.Run(`{
		const real = window.fetch;
		window.fetch = (url, options) => real(url, { ...options, headers: { ...options?.headers, Authorization: 'Bearer old' } });
		window.giveBack = () => { window.fetch = real; };
	}`)
	b.Run(`location.hash = '#/settings'`)
	b.WaitText("#key-wrong", "no longer accepted")
	b.Run(`giveBack()`)
	giveKey(b)
	b.WaitGone("dialog")
	b.WaitFor(viewOf("settings"))
}

func TestTheQuestionForTheKeySaysWhyNoneIsTaken(t *testing.T) {
	g := serve(t, "one", "ADMIN_HOST=0.0.0.0", "ADMIN_API_KEYS=") // without keys, where one is not made up
	b := browser.Open(t)
	b.Forgive("403", "request failed", "ERR_CONNECTION_REFUSED")
	b.Visit(g.url("/#/lookup"))
	giveKey(b)
	b.WaitText("#key-wrong", "set ADMIN_API_KEYS")
	g.kill()
	giveKey(b)
	b.WaitText("#key-wrong", "The gateway does not answer.")
	b.MustBeRight()
}

func TestAViewInTheAddressIsOpenedAndAnUnknownOneIsTry(t *testing.T) {
	g := serve(t, "one")
	b := browser.Open(t)
	for _, hash := range []string{"", "#", "#/", "#/nothing", "#/%zz", "#/try/what/ever"} {
		b.Visit("about:blank")
		b.Visit(g.url("/" + hash))
		b.WaitFor(viewOf("try") + " #connect-lobby:enabled")
		if title := browser.Eval[string](b, `document.title`); title != "Try · Gateway console" {
			t.Errorf("%q has the title %q", hash, title)
		}
		if n := b.Count(`#nav [aria-current="page"]`); n != 1 {
			t.Errorf("%q has %d current views", hash, n)
		}
	}
	b.MustBeRight()
}

func TestTheConsoleIsGoneThroughByKeyboardAlone(t *testing.T) {
	g := serve(t, "one")
	b := browser.Open(t)
	b.Visit(g.url("/"))
	b.WaitFor("#connect-lobby:enabled")

	b.Run(`document.activeElement.blur(); getSelection().removeAllRanges()`)
	tabTo(b, "#skip")
	b.Press(kb.Enter)
	if !b.Focused("#view") {
		t.Error("the link past the navigation does not lead to the content")
	}
	tabTo(b, "#user")
	b.Press("ann" + kb.Enter)
	b.WaitFor(`#rooms [data-room="lobby"][data-joined="true"]`)
	b.Until("the data has the focus", func() bool { return b.Focused("#data") })
	b.PressWith(kb.Enter, chromedp.ModifierCtrl)
	b.WaitFor(frames("message"))
	tabTo(b, frames("message")+" summary")
	b.Press(kb.Enter)
	b.WaitText(`[data-testid="frame-json"]`, `"room": "lobby"`)

	b.Run(`document.getElementById('skip').focus()`)
	tabTo(b, `#nav [data-view="live"]`)
	b.Press(kb.Enter)
	b.WaitFor("dialog #key")
	b.Until("the key's field has the focus", func() bool { return b.Focused("#key") })
	for range 6 { // the focus stays in the dialog, or with the browser itself
		b.Press(kb.Tab)
		if !browser.Eval[bool](b, `document.activeElement === document.body || document.querySelector('dialog').contains(document.activeElement)`) {
			t.Error("the focus leaves the dialog")
		}
	}
	b.Press(kb.Escape)
	b.WaitFor(`[data-testid="gate"]`)
	tabTo(b, "#unlock")
	b.Press(kb.Enter)
	b.Until("the key's field has the focus", func() bool { return b.Focused("#key") })
	b.Press(apiKey + kb.Enter)
	b.WaitFor(viewOf("live"))
	b.Until("the content has the focus", func() bool { return b.Focused("#view, #view *") })
	b.MustBeRight()
}

// tabTo presses Tab until one of these has the focus.
func tabTo(b *browser.Tab, selector string) {
	tries := 0
	b.Until("Tab leads to "+selector, func() bool {
		if tries++; tries > 1 || !b.Focused(selector) {
			b.Press(kb.Tab)
		}
		return b.Focused(selector) || tries > 200
	})
	if !b.Focused(selector) {
		b.Until("Tab leads to "+selector, func() bool { return false })
	}
}

// production are settings of a gateway that serves strangers.
func production(t *testing.T, more ...string) *gateway {
	t.Helper()
	return serve(t, "one", append([]string{
		"NODE_ENV=production", "AUTH_MODE=jwt", "AUTH_JWT_ALGORITHMS=HS256", "AUTH_JWT_SECRET=0123456789abcdef0123456789abcdef",
	}, more...)...)
}

func TestInProductionThereIsNoConsoleUnlessItIsEnabled(t *testing.T) {
	g := production(t)
	for _, path := range []string{"/", "/console.json", "/console/app.js"} {
		if status := g.ask(http.MethodGet, path, nil, nil); status != http.StatusNotFound {
			t.Errorf("%s is answered with %d", path, status)
		}
	}
}

func TestEnabledInProductionItShowsNothingWithoutTheKey(t *testing.T) {
	g := production(t, "CONSOLE_ENABLED=true")
	resp, err := lone.Get(g.url("/api/v1/instances"))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a key the API answers %d", resp.StatusCode)
	}
	b := browser.Open(t)
	b.Visit(g.url("/"))
	b.WaitFor("#connect-lobby:enabled")
	if typ := browser.Eval[string](b, `document.getElementById('user').type`); typ != "password" {
		t.Errorf("the token is typed into a field of type %s", typ)
	}
	b.Fill("#user", "a.secret.token")
	if code := b.Text("#code"); strings.Contains(code, "a.secret.token") || !strings.Contains(code, "getToken()") {
		t.Errorf("the code has the token:\n%s", code)
	}
	b.Click(`[name="protocol"][value="socketio"]`)
	b.Click("#connect")
	b.WaitFor(frames("CONNECT_ERROR")) // it is no token
	b.Run(`document.querySelectorAll('.frame summary').forEach((summary) => summary.click())`)
	if log := b.Text("#frames"); strings.Contains(log, "a.secret.token") || !strings.Contains(log, `"token":"…"`) {
		t.Errorf("the log of frames has the token:\n%s", log)
	}
	if text := g.log.String(); strings.Contains(text, "a.secret.token") {
		t.Errorf("the gateway's log has the token")
	}
	for _, v := range views {
		if v.needsKey {
			b.Visit(g.url("/#/" + v.id))
			b.WaitFor("dialog #key")
			if b.Has(viewOf(v.id)) {
				t.Errorf("%s is shown without the key", v.id)
			}
		}
	}
	b.MustBeRight()
}
