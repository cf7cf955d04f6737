package standin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// authService takes every token for the user id that it is, and counts.
type authService struct {
	delay       time.Duration
	calls, peak atomic.Int64
	now         atomic.Int64
}

// Auth serves an auth service that answers each verification after a delay,
// until stdin ends. It prints its address when it is ready, and at its end how
// many calls there were and how many at once.
func Auth(ctx context.Context, delay time.Duration, stdin io.Reader, stdout io.Writer) error {
	s := &authService{delay: delay}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/auth/verify", s.verify)
	mux.HandleFunc("GET /health", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /stats", s.stats)
	return serve(ctx, "auth server", "127.0.0.1:0", mux, stdin, stdout, func() string {
		return fmt.Sprintf("calls %d, most at once %d", s.calls.Load(), s.peak.Load())
	})
}

func (s *authService) verify(w http.ResponseWriter, r *http.Request) {
	s.calls.Add(1)
	now := s.now.Add(1)
	defer s.now.Add(-1)
	for peak := s.peak.Load(); now > peak && !s.peak.CompareAndSwap(peak, now); peak = s.peak.Load() {
	}
	var in struct {
		Token string `json:"token"`
	}
	if json.NewDecoder(io.LimitReader(r.Body, 64<<10)).Decode(&in) != nil || in.Token == "" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	time.Sleep(s.delay)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"valid": true, "user": map[string]any{"id": in.Token}, "userId": in.Token})
}

// stats answers with the counts, and begins them anew on demand.
func (s *authService) stats(w http.ResponseWriter, r *http.Request) {
	calls, peak := s.calls.Load(), s.peak.Load()
	if r.URL.Query().Has("reset") {
		s.calls.Store(0)
		s.peak.Store(0)
	}
	_, _ = fmt.Fprintf(w, "{\"calls\":%d,\"peak\":%d}\n", calls, peak)
}
