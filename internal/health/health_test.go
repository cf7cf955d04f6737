package health

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"go.uber.org/zap"
)

func look(f http.HandlerFunc) (int, string) {
	w := httptest.NewRecorder()
	f(w, httptest.NewRequest(http.MethodGet, "/health", nil))
	return w.Code, strings.TrimSpace(w.Body.String())
}

func TestReadinessIsAllChecksTogether(t *testing.T) {
	var fault error
	s := New([]Check{
		{"drain", func(context.Context) error { return nil }},
		{"broker", func(context.Context) error { return fault }},
	}, zap.NewNop())
	if code, body := look(s.ServeReady); code != 200 || body != `{"status":"ok","checks":{"broker":"ok","drain":"ok"}}` {
		t.Errorf("ready: %d %s", code, body)
	}
	fault = errors.New("dial 10.0.0.7: connection refused")
	code, body := look(s.ServeReady)
	if code != 503 || body != `{"status":"unavailable","checks":{"broker":"unavailable","drain":"ok"}}` {
		t.Errorf("not ready: %d %s", code, body)
	}
	if code, body := look(s.ServeLive); code != 200 || body != `{"status":"ok"}` {
		t.Errorf("live while not ready: %d %s", code, body)
	}
}

func TestAStuckCheckIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New([]Check{{"stuck", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}}, zap.NewNop())
		if code, _ := look(s.ServeReady); code != 503 {
			t.Errorf("got %d", code)
		}
	})
}
