package problem

import (
	"net/http/httptest"
	"testing"
	"time"
)

func TestAProblemIsWrittenAsRFC9457Says(t *testing.T) {
	w := httptest.NewRecorder()
	p := New(503, "unavailable", `say "no" <b>`)
	p.Retryable, p.RetryAfter = true, 1500*time.Millisecond
	p.Write(w)
	const want = `{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"say \"no\" \u003cb\u003e","code":"unavailable","retryable":true}` + "\n"
	if w.Code != 503 || w.Body.String() != want {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for name, value := range map[string]string{
		"Content-Type": "application/problem+json", "Cache-Control": "no-store",
		"X-Content-Type-Options": "nosniff", "Retry-After": "1",
	} {
		if got := w.Header().Get(name); got != value {
			t.Errorf("%s: %q, want %q", name, got, value)
		}
	}
}

func TestRetryAfterIsSaidOnlyWhenItIsKnown(t *testing.T) {
	for after, want := range map[time.Duration]string{0: "", time.Millisecond: "1", 10 * time.Second: "10"} {
		w := httptest.NewRecorder()
		p := New(429, "rate_limited", "slower")
		p.RetryAfter = after
		p.Write(w)
		if got := w.Header().Get("Retry-After"); got != want {
			t.Errorf("after %v: %q, want %q", after, got, want)
		}
	}
}
