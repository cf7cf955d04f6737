package console

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moonx-farm/ws-gateway/test/npm"
	"github.com/moonx-farm/ws-gateway/test/testbed/browser"
)

// looks are the windows that every view is inspected in.
var looks = []struct {
	name          string
	width, height int64
	scheme        string
}{
	{"desktop-light", 1440, 900, "light"},
	{"desktop-dark", 1440, 900, "dark"},
	{"phone-light", 390, 844, "light"},
	{"phone-dark", 390, 844, "dark"},
}

// inspect looks at what a tab shows in every window: axe finds nothing serious
// or critical, nothing must be scrolled sideways, and a picture is kept as
// name-window.png. The tab is left at desktop width, light.
func inspect(t *testing.T, b *browser.Tab, name string) {
	t.Helper()
	b.Run(axe(t))
	for _, look := range looks {
		b.Look(look.width, look.height, look.scheme)
		// Colours fade and sizes are watched: what is judged is what is painted.
		browser.Eval[any](b, `new Promise((done) => {
			scrollTo(0, 0);
			requestAnimationFrame(() => requestAnimationFrame(() => done(true)));
		})`)
		if wide := browser.Eval[int64](b, `document.documentElement.scrollWidth`); wide > look.width {
			t.Errorf("%s %s: the page is %d wide and must be scrolled sideways; too wide: %s", name, look.name, wide, tooWide(b))
		}
		for _, found := range violations(b) {
			t.Errorf("%s %s: %s", name, look.name, found)
		}
		keep(t, name+"-"+look.name, b.Picture())
	}
	b.Look(1440, 900, "light")
}

// axe is the checker's source, which is run beside the page's own scripts.
func axe(t *testing.T) string {
	t.Helper()
	path := filepath.Join(npm.Packages(t, "console", "testdata/node"), "node_modules/axe-core/axe.min.js")
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(source)
}

// violations are the serious and critical ones that axe finds.
func violations(b *browser.Tab) []string {
	return browser.Eval[[]string](b, `axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations
		.filter(({ impact }) => impact === 'serious' || impact === 'critical')
		.map(({ id, impact, help, nodes }) => `+"`${id} (${impact}): ${help}: ${nodes.map((n) => `${n.target}: ${n.failureSummary}`).join('; ')}`"+`))`)
}

// tooWide names what stands out of the window, for whoever mends it.
func tooWide(b *browser.Tab) string {
	return strings.Join(browser.Eval[[]string](b, `[...document.querySelectorAll('body *')]
		.filter((e) => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
		.slice(0, 8).map((e) => e.tagName.toLowerCase() + (e.id && '#' + e.id) + (e.className && '.' + e.className))`), ", ")
}

// keep writes a picture where people look for it.
func keep(t *testing.T, name string, png []byte) {
	t.Helper()
	dir := os.Getenv("CONSOLE_SHOTS")
	if dir == "" {
		dir = "../../bin/console"
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		t.Fatal(err)
	}
}
