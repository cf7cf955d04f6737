package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// chromium finds the browser, or fails and says how to get it.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("this test opens the page in Chromium, and there is none in PATH: " +
		"install it (Debian and Ubuntu: apt-get install chromium)")
	return ""
}

// openBrowser starts a browser with one tab. It ends with the test.
func openBrowser(t *testing.T) *tab {
	t.Helper()
	dir := scratch(t)
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(chromium(t)),
		chromedp.UserDataDir(dir),
		chromedp.Env("TMPDIR="+dir),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-gpu", true),
		chromedp.WindowSize(1280, 900),
	)
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium has no sandbox for root
	}
	bounded, cancel := context.WithTimeout(context.Background(), 3*patience) // outlives t.Context, for tell
	t.Cleanup(cancel)
	ctx, cancelBrowser := chromedp.NewExecAllocator(bounded, options...)
	t.Cleanup(cancelBrowser) // waits for the process
	b := newTab(t, ctx)
	t.Cleanup(func() { _ = chromedp.Cancel(b.ctx) }) // politely; else it is killed
	return b
}

// scratch makes a directory for a browser. t.TempDir would not do: it fails the
// test when a child of the browser, which ends by itself, still writes.
func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gateway-e2e")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// tab is a tab of the browser, and a record of what is wrong in it.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu     sync.Mutex
	faults []string // guarded by mu
}

func newTab(t *testing.T, parent context.Context) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(parent)
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx}
	t.Cleanup(func() {
		if t.Failed() {
			b.tell()
		}
	})
	b.do(chromedp.Navigate("about:blank")) // the tab must stand before it is listened to
	if err := chromedp.Listen(ctx, b.watch); err != nil {
		t.Fatal(err)
	}
	return b
}

// another opens one more tab of the same browser.
func (b *tab) another() *tab {
	b.t.Helper()
	return newTab(b.t, b.ctx)
}

// watch notes errors and warnings of the console, exceptions, violations of
// the Content-Security-Policy (entries of the browser's log) and requests that
// failed.
func (b *tab) watch(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	note := func(format string, args ...any) { b.faults = append(b.faults, fmt.Sprintf(format, args...)) }
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			note("console %s", e.Type)
		}
	case *runtime.EventExceptionThrown:
		note("exception %s", e.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		note("log %s %s: %s %s", e.Entry.Source, e.Entry.Level, e.Entry.Text, e.Entry.URL)
	case *network.EventLoadingFailed:
		note("request failed: %s", e.ErrorText)
	case *network.EventResponseReceived:
		if e.Response.Status >= 400 {
			note("status %d of %s", e.Response.Status, e.Response.URL)
		}
	}
}

// tell logs what a person would look at first, for a test that failed.
func (b *tab) tell() {
	words, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.body.innerText`))
	b.t.Logf("the tab shows (%v):\n%s\nwrong in it: %q", err, words, b.wrong())
}

// wrong returns what watch has noted.
func (b *tab) wrong() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.faults)
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// eval evaluates JavaScript in the page.
func eval[T any](b *tab, format string, args ...any) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](fmt.Sprintf(format, args...)))
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

// waitFor waits until the page has an element.
func (b *tab) waitFor(selector string) {
	b.t.Helper()
	until(b.t, "the page has "+selector, func() bool {
		return eval[bool](b, `document.querySelector(%s) !== null`, quote(selector))
	})
}

// waitText waits until an element has a text in it.
func (b *tab) waitText(selector, text string) {
	b.t.Helper()
	until(b.t, selector+" says "+text, func() bool { return strings.Contains(b.text(selector), text) })
}

// text is the visible text of an element, "" without one.
func (b *tab) text(selector string) string {
	b.t.Helper()
	return eval[string](b, `document.querySelector(%s)?.innerText ?? ''`, quote(selector))
}

func (b *tab) click(selector string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS(selector)))
}

// fill types into a field in place of what it has.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	eval[any](b, `document.querySelector(%s).select()`, quote(selector))
	b.do(chromedp.SendKeys(chromedp.CSS(selector), text))
}

// picture takes a screenshot as PNG.
func (b *tab) picture(width, height int64, scheme string) []byte {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.do(chromedp.EmulateViewport(width, height))
	shot, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	return shot
}

// quote writes a string as JavaScript does.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""` // not reached
	}
	return string(b)
}
