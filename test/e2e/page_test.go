package e2e

import (
	"bytes"
	"image"
	_ "image/png" // what a browser's screenshot is
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// visit goes to a page.
func (b *tab) visit(url string) {
	b.t.Helper()
	b.do(chromedp.Navigate(url))
}

// open opens the page and waits until it can be used.
func (b *tab) open(p ports) {
	b.t.Helper()
	b.visit(p.page())
	b.waitFor("#connect-lobby:enabled")
}

// enter connects as a user into the lobby.
func (b *tab) enter(user string) {
	b.t.Helper()
	b.fill("#user", user)
	b.click("#connect-lobby")
	b.waitFor(`body[data-state="online"]`)
	b.waitFor(`#rooms [data-room="lobby"][data-joined="true"]`)
}

// frames selects received frames of an event in the log.
func frames(event string) string {
	return `[data-testid="frame"][data-direction="in"][data-event="` + event + `"]`
}

func TestTwoTabsTalkThroughTheGateway(t *testing.T) {
	g := serve(t, freePorts(t))
	alice := openBrowser(t)
	bob := alice.another()
	alice.open(g.ports)
	bob.open(g.ports)
	alice.enter("alice")
	bob.enter("bob")
	for user, b := range map[string]*tab{"alice": alice, "bob": bob} {
		if got := b.text("#state"); got != "Connected as "+user {
			t.Errorf("%s's tab says %q", user, got)
		}
	}
	alice.waitText(`[data-room="lobby"]`, "2 here")

	alice.fill("#event", "greeting")
	alice.fill("#data", `{"text": "Hello <b>Bob</b>", "n": 12345678901234567890}`)
	alice.click("#publish")
	bob.waitFor(frames("greeting"))
	bob.click(frames("greeting") + " summary")
	bob.waitText(`[data-testid="frame-json"]`, `"text": "Hello <b>Bob</b>"`)
	bob.waitText(`[data-testid="frame-json"]`, `"n": 12345678901234567890`)
	bob.waitText(`[data-testid="frame-json"]`, `"room": "lobby"`)

	bob.fill("#data", `{"text": "Hello Alice"}`)
	bob.do(chromedp.SendKeys(chromedp.CSS("#data"), "\r", chromedp.NodeVisible)) // a line, no publish
	bob.click("#publish")
	alice.waitFor(frames("message"))

	bob.click(`[aria-label="Leave lobby"]`)
	bob.waitFor(`#rooms:not(:has([data-room="lobby"]))`)
	alice.waitText(`[data-room="lobby"]`, "1 here")
	bob.click("#disconnect")
	bob.waitFor(`body[data-state="idle"]`)

	for user, b := range map[string]*tab{"alice": alice, "bob": bob} {
		if wrong := b.wrong(); len(wrong) > 0 {
			t.Errorf("in %s's tab:\n%s", user, strings.Join(wrong, "\n"))
		}
	}
}

func TestTheTestsOfThePageWouldSeeWhatIsWrong(t *testing.T) {
	g := serve(t, freePorts(t))
	b := openBrowser(t)
	b.open(g.ports)
	for what, c := range map[string]struct{ script, want string }{
		"an error in the console": {`console.error('oops')`, "console error"},
		"an exception":            {`void setTimeout(() => { throw new Error('oops') })`, "exception"},
		"an inline script":        {`document.head.append(Object.assign(document.createElement('script'), {textContent: '1'}))`, "Content Security Policy"},
		"another origin":          {`void fetch('http://127.0.0.2:9/').catch(() => {})`, "http://127.0.0.2:9/"},
		"a missing file":          {`void fetch('/console/nothing.js')`, "status 404"},
	} {
		t.Run(what, func(t *testing.T) {
			eval[any](b, "%s", c.script)
			until(t, "it is noted", func() bool { return strings.Contains(strings.Join(b.wrong(), "\n"), c.want) })
		})
	}
}

func TestThePageSaysInWordsWhatTheGatewayRefuses(t *testing.T) {
	g := serve(t, freePorts(t))
	b := openBrowser(t)
	b.open(g.ports)
	b.click("#connect") // a guest, in no room but its own
	b.waitFor(`body[data-state="online"]`)
	b.waitText("#state", "Connected as guest-")

	b.click("#publish")
	b.waitText("#notice", "Not allowed: ")

	b.fill("#room", "user:alice")
	b.click("#join")
	b.waitText("#notice", "Not allowed: ")

	b.fill("#room", "den")
	b.click("#join")
	b.waitFor(`#rooms [data-room="den"][data-joined="true"]`)
	b.waitFor("#notice[hidden]")
	b.fill("#event", "gap")
	b.click("#publish")
	b.waitText("#notice", "reserved")

	b.fill("#data", "{oops")
	b.click("#publish")
	b.waitText("#data-error", "Data is not JSON")
}

func TestThePageComesBackAfterARestart(t *testing.T) {
	p := freePorts(t)
	g := serve(t, p)
	b := openBrowser(t)
	b.open(p)
	b.enter("alice")
	b.click("#publish")
	b.waitFor(frames("message"))

	g.term()
	if code := g.wait(); code != 0 {
		t.Errorf("exit code %d with a tab connected", code)
	}
	b.waitFor(frames("reconnect"))
	b.waitText("#notice", "1012")
	b.waitFor(`#rooms [data-room="lobby"][data-joined="false"]`)

	serve(t, p)
	b.waitFor(`body[data-state="online"]`)
	b.waitFor(`#rooms [data-room="lobby"][data-joined="true"]`)
	// The embedded broker has forgotten the room, and says so.
	b.waitText("#notice", "may have been missed (the room began anew)")
	b.click("#publish")
	until(t, "a message arrives again", func() bool {
		return eval[int](b, `document.querySelectorAll(%s).length`, quote(frames("message"))) == 2
	})
}

func TestTheLogOfFramesIsBoundedAndCanBePausedAndCleared(t *testing.T) {
	g := serve(t, freePorts(t), "HEARTBEAT_INTERVAL=1s")
	b := openBrowser(t)
	b.open(g.ports)
	b.enter("alice")

	if b.text(frames("pong")) != "" {
		t.Error("heartbeats are shown unasked")
	}
	b.click("#beats")
	until(t, "heartbeats are shown", func() bool { return strings.Contains(b.text(frames("pong")), "pong") })

	b.click("#pause")
	b.click("#publish")
	b.waitText("#frames-count", "held back")
	if n := eval[int](b, `document.querySelectorAll(%s).length`, quote(frames("message"))); n != 0 {
		t.Errorf("%d messages are shown during a pause", n)
	}
	b.click("#pause")
	b.waitFor(frames("message"))

	// Each publish makes three frames: request, reply and the own copy.
	eval[any](b, `for (let i = 0; i < 300; i++) document.getElementById('publishing').requestSubmit()`)
	b.waitText(`[data-room="lobby"]`, "#301")
	b.waitText("#frames-count", "the last 500 frames")
	if n := eval[int](b, `document.getElementById('frames').childElementCount`); n != 500 {
		t.Errorf("the log has %d frames", n)
	}

	b.click("#disconnect") // so that nothing comes after the clearing
	b.waitFor(`body[data-state="idle"]`)
	b.click("#clear")
	b.waitFor("#no-frames:not([hidden])")
	if wrong := b.wrong(); len(wrong) > 0 {
		t.Errorf("in the tab:\n%s", strings.Join(wrong, "\n"))
	}
}

func TestThePageIsDrawnLightAndDarkAndOnAPhone(t *testing.T) {
	g := serve(t, freePorts(t))
	b := openBrowser(t)
	b.open(g.ports)
	b.enter("alice")
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
			img, _, err := image.Decode(bytes.NewReader(b.picture(c.width, c.height, c.scheme)))
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
			if wide := eval[float64](b, `document.documentElement.scrollWidth`); wide > float64(c.width) {
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
