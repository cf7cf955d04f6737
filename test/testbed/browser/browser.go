package browser

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

const (
	// Patience bounds every wait for something that must happen.
	Patience = time.Minute

	life = 5 * time.Minute // of a browser
)

// Tab is a tab of a browser, and a record of what is wrong in it.
type Tab struct {
	t   testing.TB
	ctx context.Context

	mu       sync.Mutex
	faults   []string // guarded by mu
	forgiven []string // guarded by mu
}

// Open starts a browser with one tab, at desktop width. It ends with the test.
func Open(t testing.TB) *Tab {
	t.Helper()
	dir := scratch(t)
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(chromium(t)),
		chromedp.UserDataDir(dir),
		chromedp.Env("TMPDIR="+dir),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-gpu", true),
		chromedp.WindowSize(1440, 900),
	)
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium has no sandbox for root
	}
	bounded, cancel := context.WithTimeout(context.Background(), life) // outlives t.Context, for tell
	t.Cleanup(cancel)
	ctx, cancelBrowser := chromedp.NewExecAllocator(bounded, options...)
	t.Cleanup(cancelBrowser)                                                      // waits for the process
	return newTab(t, ctx, func(tab context.Context) { _ = chromedp.Cancel(tab) }) // politely; else it is killed
}

// chromium finds the browser, or fails and says how to get it.
func chromium(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("this test opens a page in Chromium, and there is none in PATH: " +
		"install it (Debian and Ubuntu: apt-get install chromium)")
	return ""
}

// scratch makes a directory for a browser. t.TempDir would not do: it fails the
// test when a child of the browser, which ends by itself, still writes.
func scratch(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gateway-browser")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// newTab opens a tab, which end ends with the test.
func newTab(t testing.TB, parent context.Context, end func(tab context.Context)) *Tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(parent)
	b := &Tab{t: t, ctx: ctx}
	t.Cleanup(func() {
		defer cancel()
		if t.Failed() {
			b.tell()
		}
		end(ctx)
	})
	b.do(chromedp.Navigate("about:blank")) // the tab must stand before it is listened to
	if err := chromedp.Listen(ctx, b.watch); err != nil {
		t.Fatal(err)
	}
	return b
}

// Another opens one more tab of the same browser.
func (b *Tab) Another() *Tab {
	b.t.Helper()
	return newTab(b.t, b.ctx, func(context.Context) {})
}

// Forgive has Wrong leave out what has one of the texts in it, from now on and
// before.
func (b *Tab) Forgive(texts ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forgiven = append(b.forgiven, texts...)
}

// Wrong is what has gone wrong in the tab: errors and warnings of the console,
// exceptions, violations of the Content-Security-Policy, and requests that
// failed or were refused.
func (b *Tab) Wrong() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(b.faults), func(fault string) bool {
		return slices.ContainsFunc(b.forgiven, func(text string) bool { return strings.Contains(fault, text) })
	})
}

// MustBeRight fails the test if something has gone wrong in the tab.
func (b *Tab) MustBeRight() {
	b.t.Helper()
	if wrong := b.Wrong(); len(wrong) > 0 {
		b.t.Errorf("in the tab:\n%s", strings.Join(wrong, "\n"))
	}
}

// watch notes what Wrong returns. Violations of the policy are entries of the
// browser's log.
func (b *Tab) watch(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	note := func(format string, args ...any) { b.faults = append(b.faults, fmt.Sprintf(format, args...)) }
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			note("console %s", e.Type)
		}
	case *runtime.EventExceptionThrown:
		note("exception %s %s", e.ExceptionDetails.Text, description(e.ExceptionDetails))
	case *log.EventEntryAdded:
		note("log %s %s: %s %s", e.Entry.Source, e.Entry.Level, e.Entry.Text, e.Entry.URL)
	case *network.EventLoadingFailed:
		if !e.Canceled {
			note("request failed: %s", e.ErrorText)
		}
	case *network.EventResponseReceived:
		if e.Response.Status >= 400 {
			note("status %d of %s", e.Response.Status, e.Response.URL)
		}
	}
}

func description(d *runtime.ExceptionDetails) string {
	if d.Exception == nil {
		return ""
	}
	return d.Exception.Description
}

// tell logs what a person would look at first, for a test that failed.
func (b *Tab) tell() {
	words, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.body.innerText`))
	b.t.Logf("the tab shows (%v):\n%s\nwrong in it: %q", err, words, b.Wrong())
}
