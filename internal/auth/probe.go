package auth

import (
	"context"
	"io"
	"net/http"
	"strings"
)

var _ Prober = (*Service)(nil)

// Probe implements Prober: a GET of AUTH_HEALTH_PATH, without any credential.
// Every answer shows that the service is there, 404 too, but for those with
// which it or a proxy says that it is not. It waits for AUTH_TIMEOUT at most,
// and counts for no breaker.
func (s *Service) Probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(s.cfg.ServiceURL, "/")+s.cfg.HealthPath, nil)
	if err != nil {
		return outageError{why: "the request cannot be made"}
	}
	req.Header.Set("User-Agent", "ws-gateway")
	resp, err := s.client.http.Do(req)
	if err != nil {
		return s.client.lost(ctx, err)
	}
	_, _ = io.CopyN(io.Discard, resp.Body, int64(s.cfg.MaxResponseBytes)) // lets the connection be used again
	_ = resp.Body.Close()                                                 // nothing was written
	switch resp.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return refusal(resp.StatusCode)
	}
	return nil
}
