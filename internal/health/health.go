package health

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"go.uber.org/zap"
)

// Check is one condition of readiness.
type Check struct {
	Name string
	// Ready returns why not, nil if so. It is called for every look at
	// readiness, concurrently, and must be cheap.
	Ready func(ctx context.Context) error
}

// Service answers requests for the process's health. Safe for concurrent use.
type Service struct {
	checks []Check // immutable
	log    *zap.Logger
}

// New makes a service of the checks.
func New(checks []Check, log *zap.Logger) *Service { return &Service{checks, log} }

// timeout bounds one look at readiness.
const timeout = 2 * time.Second

// The words of an answer.
const (
	statusOK          = "ok"
	statusUnavailable = "unavailable"
)

// Ready runs all checks; false if any fails. It also returns each one's word.
func (s *Service) Ready(ctx context.Context) (bool, map[string]string) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	ready, words := true, make(map[string]string, len(s.checks))
	for _, c := range s.checks {
		words[c.Name] = statusOK
		if err := c.Ready(ctx); err != nil {
			ready, words[c.Name] = false, statusUnavailable
			s.log.Debug("not ready", zap.String("check", c.Name), zap.Error(err))
		}
	}
	return ready, words
}

// ServeLive answers 200 for as long as the process can.
func (s *Service) ServeLive(w http.ResponseWriter, _ *http.Request) { answer(w, true, nil) }

// ServeReady answers 200, or 503 while a check fails, and lists the checks.
func (s *Service) ServeReady(w http.ResponseWriter, r *http.Request) {
	ready, words := s.Ready(r.Context())
	answer(w, ready, words)
}

func answer(w http.ResponseWriter, ok bool, checks map[string]string) {
	body := struct {
		Status string            `json:"status"`
		Checks map[string]string `json:"checks,omitempty"`
	}{statusOK, checks}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !ok {
		body.Status = statusUnavailable
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(body) // the client may have gone
}
