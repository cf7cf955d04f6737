package examples

import (
	"testing"

	"github.com/moonx-farm/ws-gateway/test/testbed/browser"
)

// tab is a tab of a browser, with an example's page.
type tab struct {
	*browser.Tab
	t *testing.T
}

// openTab starts a browser, which ends with the test, and visits a page.
func openTab(t *testing.T, url string) *tab {
	t.Helper()
	return visit(t, browser.Open(t), url)
}

// another opens a second tab in the same browser.
func (b *tab) another(url string) *tab {
	b.t.Helper()
	return visit(b.t, b.Another(), url)
}

func visit(t *testing.T, in *browser.Tab, url string) *tab {
	t.Helper()
	in.Forgive("WebSocket connection", "WebSocket is closed") // gateways are killed here
	in.Visit(url)
	t.Cleanup(in.MustBeRight)
	return &tab{in, t}
}

// untilShown waits until an element shows just a text.
func (b *tab) untilShown(selector, want string) {
	b.t.Helper()
	b.Until(selector+" shows "+want, func() bool { return b.Text(selector) == want })
}

// enter fills a field, and presses Enter in it.
func (b *tab) enter(selector, value string) {
	b.t.Helper()
	b.Fill(selector, value)
	b.Press("\r")
}

// order orders in the page.
func (b *tab) order(sku string) {
	b.t.Helper()
	b.WaitFor("#sku")
	b.Run(`document.querySelector('#sku').value = ` + browser.Quote(sku))
	b.Click("#order button")
}
