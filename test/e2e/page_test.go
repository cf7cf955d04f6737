package e2e

import (
	"bytes"
	"image"
	_ "image/png" // what a browser's screenshot is
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/moonx-farm/ws-gateway/test/testbed/browser"
)

// openPage opens the page and waits until it can be used.
func openPage(b *browser.Tab, p ports) {
	b.Visit(p.page())
	b.WaitFor("#connect-lobby:enabled")
}

// enter connects as a user into the lobby.
func enter(b *browser.Tab, user string) {
	b.Fill("#user", user)
	b.Click("#connect-lobby")
	b.WaitFor(`body[data-state="online"]`)
	b.WaitFor(`#rooms [data-room="lobby"][data-joined="true"]`)
}

// frames selects received frames of an event in the log.
func frames(event string) string {
	return `[data-testid="frame"][data-direction="in"][data-event="` + event + `"]`
}

func TestTwoTabsTalkThroughTheGateway(t *testing.T) {
	g := serve(t, freePorts(t))
	alice := browser.Open(t)
	bob := alice.Another()
	openPage(alice, g.ports)
	openPage(bob, g.ports)
	enter(alice, "alice")
	enter(bob, "bob")
	for user, b := range map[string]*browser.Tab{"alice": alice, "bob": bob} {
		if got := b.Text("#state"); got != "Connected as "+user {
			t.Errorf("%s's tab says %q", user, got)
		}
	}
	alice.WaitText(`[data-room="lobby"]`, "2 here")

	alice.Fill("#event", "greeting")
	alice.Fill("#data", `{"text": "Hello <b>Bob</b>", "n": 12345678901234567890}`)
	alice.Click("#publish")
	bob.WaitFor(frames("greeting"))
	bob.Click(frames("greeting") + " summary")
	bob.WaitText(`[data-testid="frame-json"]`, `"text": "Hello <b>Bob</b>"`)
	bob.WaitText(`[data-testid="frame-json"]`, `"n": 12345678901234567890`)
	bob.WaitText(`[data-testid="frame-json"]`, `"room": "lobby"`)

	bob.Fill("#data", `{"text": "Hello Alice"}`)
	bob.Press(kb.Enter) // a line, no publish
	bob.Click("#publish")
	alice.WaitFor(frames("message"))

	bob.Click(`[aria-label="Leave lobby"]`)
	bob.WaitFor(`#rooms:not(:has([data-room="lobby"]))`)
	alice.WaitText(`[data-room="lobby"]`, "1 here")
	bob.Click("#disconnect")
	bob.WaitFor(`body[data-state="idle"]`)

	for user, b := range map[string]*browser.Tab{"alice": alice, "bob": bob} {
		if wrong := b.Wrong(); len(wrong) > 0 {
			t.Errorf("in %s's tab:\n%s", user, strings.Join(wrong, "\n"))
		}
	}
}

func TestTheTestsOfThePageWouldSeeWhatIsWrong(t *testing.T) {
	g := serve(t, freePorts(t))
	b := browser.Open(t)
	openPage(b, g.ports)
	for what, c := range map[string]struct{ script, want string }{
		"an error in the console": {`console.error('oops')`, "console error"},
		"an exception":            {`void setTimeout(() => { throw new Error('oops') })`, "exception"},
		"an inline script":        {`document.head.append(Object.assign(document.createElement('script'), {textContent: '1'}))`, "Content Security Policy"},
		"another origin":          {`void fetch('http://127.0.0.2:9/').catch(() => {})`, "http://127.0.0.2:9/"},
		"a missing file":          {`void fetch('/console/nothing.js')`, "status 404"},
	} {
		t.Run(what, func(t *testing.T) {
			browser.Eval[any](b, "%s", c.script)
			until(t, "it is noted", func() bool { return strings.Contains(strings.Join(b.Wrong(), "\n"), c.want) })
		})
	}
}

func TestThePageSaysInWordsWhatTheGatewayRefuses(t *testing.T) {
	g := serve(t, freePorts(t))
	b := browser.Open(t)
	openPage(b, g.ports)
	b.Click("#connect") // a guest, in no room but its own
	b.WaitFor(`body[data-state="online"]`)
	b.WaitText("#state", "Connected as guest-")

	b.Click("#publish")
	b.WaitText("#notice", "Not allowed: ")

	b.Fill("#room", "user:alice")
	b.Click("#join")
	b.WaitText("#notice", "Not allowed: ")

	b.Fill("#room", "den")
	b.Click("#join")
	b.WaitFor(`#rooms [data-room="den"][data-joined="true"]`)
	b.WaitFor("#notice[hidden]")
	b.Fill("#event", "gap")
	b.Click("#publish")
	b.WaitText("#notice", "reserved")

	b.Fill("#data", "{oops")
	b.Click("#publish")
	b.WaitText("#data-error", "Data is not JSON")
}

func TestThePageComesBackAfterARestart(t *testing.T) {
	p := freePorts(t)
	g := serve(t, p)
	b := browser.Open(t)
	openPage(b, p)
	enter(b, "alice")
	b.Click("#publish")
	b.WaitFor(frames("message"))

	g.term()
	if code := g.wait(); code != 0 {
		t.Errorf("exit code %d with a tab connected", code)
	}
	b.WaitFor(frames("reconnect"))
	b.WaitText("#notice", "1012")
	b.WaitFor(`#rooms [data-room="lobby"][data-joined="false"]`)

	serve(t, p)
	b.WaitFor(`body[data-state="online"]`)
	b.WaitFor(`#rooms [data-room="lobby"][data-joined="true"]`)
	// The embedded broker has forgotten the room, and says so.
	b.WaitText("#notice", "may have been missed (the room began anew)")
	b.Click("#publish")
	until(t, "a message arrives again", func() bool {
		return browser.Eval[int](b, `document.querySelectorAll(%s).length`, browser.Quote(frames("message"))) == 2
	})
}

func TestTheLogOfFramesIsBoundedAndCanBePausedAndCleared(t *testing.T) {
	g := serve(t, freePorts(t), "HEARTBEAT_INTERVAL=1s")
	b := browser.Open(t)
	openPage(b, g.ports)
	enter(b, "alice")

	if b.Text(frames("pong")) != "" {
		t.Error("heartbeats are shown unasked")
	}
	b.Click("#beats")
	until(t, "heartbeats are shown", func() bool { return strings.Contains(b.Text(frames("pong")), "pong") })

	b.Click("#pause")
	b.Click("#publish")
	b.WaitText("#frames-count", "held back")
	if n := browser.Eval[int](b, `document.querySelectorAll(%s).length`, browser.Quote(frames("message"))); n != 0 {
		t.Errorf("%d messages are shown during a pause", n)
	}
	b.Click("#pause")
	b.WaitFor(frames("message"))

	// Each publish makes three frames: request, reply and the own copy.
	browser.Eval[any](b, `for (let i = 0; i < 300; i++) document.getElementById('publishing').requestSubmit()`)
	b.WaitText(`[data-room="lobby"]`, "#301")
	b.WaitText("#frames-count", "the last 500 frames")
	if n := browser.Eval[int](b, `document.getElementById('frames').childElementCount`); n != 500 {
		t.Errorf("the log has %d frames", n)
	}

	b.Click("#disconnect") // so that nothing comes after the clearing
	b.WaitFor(`body[data-state="idle"]`)
	b.Click("#clear")
	b.WaitFor("#no-frames:not([hidden])")
	b.MustBeRight()
}

func TestThePageIsDrawnLightAndDarkAndOnAPhone(t *testing.T) {
	g := serve(t, freePorts(t))
	b := browser.Open(t)
	openPage(b, g.ports)
	enter(b, "alice")
	light := map[string]float64{}
	for name, c := range map[string]struct {
		width, height int64
		scheme        string
	}{
		"wide and light":  {1280, 800, "light"},
		"wide and dark":   {1280, 800, "dark"},
		"phone and light": {390, 844, "light"},
		"phone and dark":  {390, 844, "dark"},
	} {
		t.Run(name, func(t *testing.T) {
			b.Look(c.width, c.height, c.scheme)
			img, _, err := image.Decode(bytes.NewReader(b.Picture()))
			if err != nil {
				t.Fatal(err)
			}
			if size := img.Bounds().Size(); size.X != int(c.width) || size.Y != int(c.height) {
				t.Errorf("the picture is %v", size)
			}
			colours, mean := look(img)
			if colours < 50 {
				t.Errorf("only %d colours: the page is blank", colours)
			}
			light[name] = mean
			if wide := browser.Eval[float64](b, `document.documentElement.scrollWidth`); wide > float64(c.width) {
				t.Errorf("the page is %v wide and must be scrolled sideways", wide)
			}
		})
	}
	if light["wide and light"] < 200 || light["wide and dark"] > 60 ||
		light["phone and light"] < 200 || light["phone and dark"] > 60 {
		t.Errorf("mean lightness from 0 to 255: %v", light)
	}
}

// look counts the colours of a picture, and says how light it is on average.
func look(img image.Image) (colours int, mean float64) {
	seen := map[[3]uint32]bool{}
	sum, n := 0.0, 0
	for y := img.Bounds().Min.Y; y < img.Bounds().Max.Y; y += 2 {
		for x := img.Bounds().Min.X; x < img.Bounds().Max.X; x += 2 {
			r, g, b, _ := img.At(x, y).RGBA()
			seen[[3]uint32{r, g, b}] = true
			sum += float64(r+g+b) / 3 / 257
			n++
		}
	}
	return len(seen), sum / float64(n)
}
