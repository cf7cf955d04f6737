package auth

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
)

// probed makes the client of a service that answers with a handler.
func probed(t *testing.T, h http.HandlerFunc, dial func(context.Context, string, string) (net.Conn, error)) *Service {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	s := NewService(Config{HTTP: HTTPConfig{
		ServiceURL: srv.URL + "/", HealthPath: "/health", Timeout: 100 * time.Millisecond, MaxConcurrent: 1,
		MaxResponseBytes: 1 << 10, CacheBytes: 1 << 10, Dial: dial,
	}}, zap.NewNop())
	t.Cleanup(s.Close)
	return s
}

func TestAProbeFindsAServiceThatAnswersAnything(t *testing.T) {
	for status, there := range map[int]bool{
		200: true, 204: true, 302: true, 401: true, 404: true, 429: true, 500: true, 502: false, 503: false, 504: false,
	} {
		s := probed(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || r.URL.Path != "/health" || r.Header.Get("Authorization") != "" {
				t.Errorf("asked %s %s", r.Method, r.URL)
			}
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
			if status == 200 {
				_, _ = w.Write([]byte(strings.Repeat("a", 1<<20)))
			}
		}, nil)
		if err := s.Probe(t.Context()); (err == nil) != there {
			t.Errorf("%d: %v", status, err)
		}
	}
}

func TestAProbeThatGetsNoAnswerFindsNothing(t *testing.T) {
	done := make(chan struct{})
	defer close(done)
	s := probed(t, func(http.ResponseWriter, *http.Request) { <-done }, nil)
	if err := s.Probe(t.Context()); err == nil {
		t.Error("a service that hangs is there")
	}
	s = probed(t, nil, func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("refused") })
	if err := s.Probe(t.Context()); err == nil {
		t.Error("a service that refuses connections is there")
	}
}
