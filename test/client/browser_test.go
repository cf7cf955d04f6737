package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browserTime bounds a browser's life.
const browserTime = 3 * time.Minute

// tab is a tab of a browser, and a record of what its console complains of.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu     sync.Mutex
	faults []string // guarded by mu
}

// openTab starts a browser, which ends with the test, and visits a page.
func openTab(t *testing.T, url string) *tab {
	t.Helper()
	dir, err := os.MkdirTemp("", "browser")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(chromium(t)), chromedp.UserDataDir(dir), chromedp.Env("TMPDIR="+dir),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-gpu", true),
	)
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium has no sandbox for root
	}
	bound := browserTime
	if long() {
		bound = longTime
	}
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	t.Cleanup(cancel)
	ctx, cancelBrowser := chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancelBrowser) // waits for the process
	ctx, cancelTab := chromedp.NewContext(ctx)
	t.Cleanup(cancelTab)
	b := &tab{t: t, ctx: ctx}
	t.Cleanup(func() { _ = chromedp.Cancel(ctx) }) // politely; else it is killed
	b.do(chromedp.Navigate("about:blank"))         // the tab must stand before it is listened to
	if err := chromedp.Listen(ctx, b.watch); err != nil {
		t.Fatal(err)
	}
	b.do(chromedp.Navigate(url))
	return b
}

// chromium finds the browser, or fails and says how to get it.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("this test runs the client in Chromium, and there is none in PATH: install it (Debian and Ubuntu: apt-get install chromium)")
	return ""
}

// watch notes exceptions. That a WebSocket could not be opened is no fault here.
func (b *tab) watch(event any) {
	e, ok := event.(*runtime.EventExceptionThrown)
	if !ok {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	text := e.ExceptionDetails.Text
	if e.ExceptionDetails.Exception != nil {
		text += " " + e.ExceptionDetails.Exception.Description
	}
	b.faults = append(b.faults, text)
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

// page serves a page that runs one survivor as window.client, which it imports
// from a gateway.
func page(t *testing.T, gateway string, client any) string {
	t.Helper()
	survivor, err := os.ReadFile("testdata/survivor.mjs")
	if err != nil {
		t.Fatal(err)
	}
	settings, err := json.Marshal(client)
	if err != nil {
		t.Fatal(err)
	}
	html := strings.NewReplacer("GATEWAY", "http://"+gateway, "SETTINGS", string(settings)).Replace(`<!doctype html>
<title>survivor</title>
<script type="module">
  import { connect } from 'GATEWAY/client.js';
  import { survive } from '/survivor.mjs';
  window.client = survive(connect, SETTINGS);
  window.client.joined().then(() => { window.joined = true; });
</script>`)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte(html))
		case "/survivor.mjs":
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = w.Write(survivor)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}
