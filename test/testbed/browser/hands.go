package browser

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

func (b *Tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// Eval evaluates JavaScript in the page, and waits for a promise. It stands
// outside the page's Content-Security-Policy.
func Eval[T any](b *Tab, format string, args ...any) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](fmt.Sprintf(format, args...), chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

// Run evaluates JavaScript text as it is, for its effect.
func (b *Tab) Run(script string) {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](script, chromedp.EvalAwaitPromise))
}

// Visit goes to a page.
func (b *Tab) Visit(url string) {
	b.t.Helper()
	b.do(chromedp.Navigate(url))
}

// Until waits until something holds.
func (b *Tab) Until(what string, holds func() bool) {
	b.t.Helper()
	for begun := time.Now(); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Since(begun) > Patience {
			b.t.Fatalf("waited %v in vain until %s", Patience, what)
		}
	}
}

// Has tells whether the page has an element now.
func (b *Tab) Has(selector string) bool {
	b.t.Helper()
	return Eval[bool](b, `document.querySelector(%s) !== null`, Quote(selector))
}

// WaitFor waits until the page has an element.
func (b *Tab) WaitFor(selector string) {
	b.t.Helper()
	b.Until("the page has "+selector, func() bool { return b.Has(selector) })
}

// WaitGone waits until the page does not have an element.
func (b *Tab) WaitGone(selector string) {
	b.t.Helper()
	b.Until("the page has no "+selector, func() bool { return !b.Has(selector) })
}

// WaitText waits until an element has a text in it.
func (b *Tab) WaitText(selector, text string) {
	b.t.Helper()
	b.Until(selector+" says "+text, func() bool { return strings.Contains(b.Text(selector), text) })
}

// Text is the visible text of an element, "" without one.
func (b *Tab) Text(selector string) string {
	b.t.Helper()
	return Eval[string](b, `document.querySelector(%s)?.innerText ?? ''`, Quote(selector))
}

// Count is the number of elements.
func (b *Tab) Count(selector string) int {
	b.t.Helper()
	return Eval[int](b, `document.querySelectorAll(%s).length`, Quote(selector))
}

// Click waits until an element is there to be seen, and clicks it.
func (b *Tab) Click(selector string) {
	b.t.Helper()
	b.act("click on "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// act does what concerns an element, again when the page has just put another
// in its place.
func (b *Tab) act(what string, step chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	b.Until(what, func() bool {
		err := chromedp.Do(b.ctx, step)
		if err != nil && !strings.Contains(err.Error(), "Could not find node") {
			b.t.Fatalf("%s: %v", what, err)
		}
		return err == nil
	})
}

// Fill types into a field in place of what it has.
func (b *Tab) Fill(selector, text string) {
	b.t.Helper()
	b.WaitFor(selector)
	Eval[any](b, `document.querySelector(%s).select()`, Quote(selector))
	b.act("type into "+selector, chromedp.SendKeys(chromedp.CSS(selector), text))
}

// Press presses keys, as text or those of package kb, on what has the focus.
func (b *Tab) Press(keys string) {
	b.t.Helper()
	b.do(chromedp.KeyEvent(keys))
}

// PressWith presses keys while Ctrl, Shift or another modifier is held.
func (b *Tab) PressWith(keys string, modifiers ...chromedp.Modifier) {
	b.t.Helper()
	b.do(chromedp.KeyEvent(keys, chromedp.KeyModifiers(modifiers...)))
}

// Focused tells whether the element that has the focus is one of these.
func (b *Tab) Focused(selector string) bool {
	b.t.Helper()
	return Eval[bool](b, `document.activeElement?.matches(%s) === true`, Quote(selector))
}

// Look sets the size of the window, in CSS pixels, and the scheme, light or
// dark, that the reader prefers.
func (b *Tab) Look(width, height int64, scheme string) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.do(chromedp.EmulateViewport(width, height))
}

// Picture takes a screenshot of the window as PNG.
func (b *Tab) Picture() []byte {
	b.t.Helper()
	shot, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	return shot
}

// Quote writes a string as JavaScript does.
func Quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""` // not reached
	}
	return string(b)
}
