package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"
)

const (
	minPause = 100 * time.Millisecond
	maxPause = 5 * time.Second
	// publishTime is how long a publish is tried: less than IDEMPOTENCY_TTL of
	// the gateway, within which it is stored once.
	publishTime = 4 * time.Minute
	callTime    = 5 * time.Second
	maxAnswer   = 1 << 20 // in bytes
)

// publication is one message to all connections of a user, and to those that
// come back later.
type publication struct {
	User  string `json:"user"`
	Event string `json:"event"`
	Data  any    `json:"data"`
	// IdempotencyKey is the same for the same message, however often it is sent.
	IdempotencyKey string `json:"idempotencyKey"`
}

// refusal is what the gateway says when it does not publish.
type refusal struct {
	Code      string `json:"code"`
	Detail    string `json:"detail"`
	Retryable bool   `json:"retryable"`
}

// Error implements error.
func (r *refusal) Error() string { return r.Code + ": " + r.Detail }

// publisher publishes through the server API. Safe for concurrent use.
type publisher struct {
	url    string
	key    string
	client *http.Client
}

// newPublisher returns a publisher for the admin port at base, with one of
// ADMIN_API_KEYS.
func newPublisher(base, key string) *publisher {
	return &publisher{url: base + "/api/v1/publish", key: key, client: &http.Client{Timeout: callTime}}
}

// publish returns once the message is stored. It tries again what may succeed
// later, for publishTime and within ctx: after a lost answer the gateway knows
// the message by its key.
func (p *publisher) publish(ctx context.Context, message publication) error {
	ctx, cancel := context.WithTimeout(ctx, publishTime)
	defer cancel()
	body, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		err := p.post(ctx, body)
		var refused *refusal
		if err == nil || errors.As(err, &refused) && !refused.Retryable {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause/2 + rand.N(pause/2)):
		}
	}
}

// post asks once. An error that is no refusal says that the outcome is unknown.
func (p *publisher) post(ctx context.Context, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+p.key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := p.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil || resp.StatusCode == http.StatusOK {
		return err
	}
	refused := &refusal{}
	if err := json.Unmarshal(answer, refused); err != nil || refused.Code == "" {
		return fmt.Errorf("the gateway answers %s", resp.Status)
	}
	return refused
}
