//go:build linux

package million

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/bench"
)

// publication is the body of POST /api/v1/publish.
type publication struct {
	Everyone bool   `json:"everyone,omitempty"`
	User     string `json:"user,omitempty"`
	Event    string `json:"event"`
	Data     any    `json:"data"`
}

// payload is the data of what is published.
type payload struct {
	N  int    `json:"n"`
	At int64  `json:"at"`
	To string `json:"to,omitempty"`
}

// broadcast publishes the n-th message to everyone through one gateway.
func (s *stack) broadcast(ctx context.Context, n int) error {
	return s.publish(ctx, n%len(s.gateways), publication{
		Everyone: true, Event: bench.ToAll, Data: payload{N: n, At: time.Now().UnixNano()},
	})
}

// single publishes the n-th message, to one user, through a gateway: another
// than the one that has the user's connection.
func (s *stack) single(ctx context.Context, n, user, gateway int) error {
	id := fmt.Sprintf("%s%06d", userPrefix, user)
	return s.publish(ctx, gateway%len(s.gateways), publication{
		User: id, Event: bench.ToOne, Data: payload{N: n, At: time.Now().UnixNano(), To: id},
	})
}

// userPrefix begins the user ids.
const userPrefix = "user-"

func (s *stack) publish(ctx context.Context, gateway int, p publication) error {
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	url := s.admin(gateway) + "/api/v1/publish"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+s.key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1000))
	if err != nil || resp.StatusCode/100 != 2 {
		return fmt.Errorf("publish through %s: %s: %s", s.name(gateway), resp.Status, answer)
	}
	return nil
}
