package auth

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/fault"
	"github.com/moonx-farm/ws-gateway/internal/tracing"
)

// BreakerOpenFor is how long a breaker of an auth service's path stays open. It
// closes at the first call after that, if the service answers it.
const BreakerOpenFor = 5 * time.Second

// outageError is why a call gave no answer. Its text is made here: what a service
// sends may hold the token that it was sent.
type outageError struct {
	why string
	// well says that the service works all the same: it has answered, but
	// neither yes nor no.
	well bool
}

// Error implements error.
func (o outageError) Error() string { return o.why }

// judge tells a breaker what a call says about the service.
func judge(err error) fault.Outcome {
	var o outageError
	var refused refusedError
	if errors.As(err, &refused) || errors.As(err, &o) && o.well {
		return fault.Answered
	}
	return fault.Judge(err) // an outage is a failure
}

// refusedError is the answer 401 or 403.
type refusedError int

// Error implements error.
func (e refusedError) Error() string {
	return fmt.Sprintf("the service answers with status %d", int(e))
}

// client makes bounded calls over HTTP. Safe for concurrent use.
type client struct {
	http    *http.Client
	timeout time.Duration
	limit   int // of an answer in bytes
	tracer  *tracing.Tracer
}

func newClient(cfg HTTPConfig) *client {
	return &client{
		timeout: cfg.Timeout, limit: cfg.MaxResponseBytes, tracer: cfg.Tracer,
		http: &http.Client{
			// A redirect would carry the token to somebody else.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{
				Proxy:       http.ProxyFromEnvironment,
				DialContext: cfg.dial(),

				MaxIdleConnsPerHost: cfg.MaxConcurrent, MaxConnsPerHost: cfg.MaxConcurrent,
				IdleConnTimeout: time.Minute, TLSHandshakeTimeout: cfg.Timeout,
				MaxResponseHeaderBytes: 64 << 10,
				DisableCompression:     true, // the limit is of what is sent
				ForceAttemptHTTP2:      true,
			},
		},
	}
}

// close lets go of idle connections.
func (c *client) close() { c.http.CloseIdleConnections() }

// question is one call.
type question struct {
	method, url string
	bearer      string     // empty: none
	body        any        // JSON; nil: none
	peer        netip.Addr // the client for whom it is asked; zero: nobody
	again       bool       // it may be asked twice
}

// ask returns the body of a successful answer. The error is a refusedError, an
// outage, or the end of the context by its owner.
func (c *client) ask(ctx context.Context, q question) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := q.request(ctx)
	if err != nil {
		return nil, outageError{why: "the request cannot be made"}
	}
	call := c.tracer.Call(req)
	resp, err := c.http.Do(req)
	if err != nil {
		err = c.lost(ctx, err)
		call.EndCall(0, err)
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // nothing was written
	defer call.EndCall(resp.StatusCode, nil)
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(c.limit)+1))
	switch {
	case resp.StatusCode/100 != 2:
		return nil, refusal(resp.StatusCode)
	case err != nil:
		return nil, c.lost(ctx, err)
	case len(body) > c.limit:
		return nil, outageError{why: fmt.Sprintf("the answer has more than %d bytes", c.limit), well: true}
	}
	return body, nil
}

func (q question) request(ctx context.Context) (*http.Request, error) {
	var body io.Reader
	if q.body != nil {
		b, err := json.Marshal(q.body)
		if err != nil {
			return nil, fmt.Errorf("encode the question: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, q.method, q.url, body)
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "ws-gateway")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if q.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+q.bearer)
	}
	if q.peer.IsValid() {
		// Such services limit failures per address: without it one bad client
		// would lock out all.
		req.Header.Set("X-Forwarded-For", q.peer.Unmap().WithZone("").String())
	}
	if q.again {
		// Present and empty, it is not sent, and lets net/http ask again when
		// the service has just closed the connection that it took.
		req.Header["Idempotency-Key"] = nil
	}
	return req, nil
}

// refusal is the error of an answer that is no success. A single token can
// bring about most of them, a crash of its handler included; only those of a
// service that is away, or says so, count against it.
func refusal(status int) error {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return refusedError(status)
	}
	away := status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
	return outageError{why: refusedError(status).Error(), well: !away}
}

// lost is the error of a call without an answer, in words that hold nothing of
// what was sent.
func (c *client) lost(ctx context.Context, err error) error {
	var dial *net.OpError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return outageError{why: fmt.Sprintf("the service gives no answer within %v", c.timeout)}
	case ctx.Err() != nil:
		return context.Canceled
	case errors.As(err, &certificate):
		return outageError{why: certificate.Error()}
	case errors.As(err, &dial):
		return outageError{why: dial.Error()}
	}
	return outageError{why: "the connection broke, or the answer is not HTTP"}
}

// endpoint is one path of a service, with a breaker of its own. Safe for
// concurrent use.
type endpoint struct {
	client *client
	method string
	url    string
	stats  *counters

	breaker *fault.Breaker
	log     *zap.Logger
	noted   rarely
}

func newEndpoint(c *client, name, method, url string, stats *counters, log *zap.Logger) *endpoint {
	return &endpoint{
		client: c, method: method, url: url, stats: stats, log: log.With(zap.String("service", name)),
		breaker: fault.NewBreaker(name, fault.BreakerSettings{OpenFor: BreakerOpenFor, Judge: judge, Log: log}),
	}
}

// ask asks q, with the method and URL of the endpoint, and has the answer read.
// An answer that read does not understand counts as a failure of the service.
func (e *endpoint) ask(ctx context.Context, q question, read func([]byte) error) error {
	q.method, q.url = e.method, e.url
	err := e.breaker.Do(func() error {
		e.stats.calls.Add(1)
		e.stats.running.Add(1)
		defer e.stats.running.Add(-1)
		body, err := e.client.ask(ctx, q)
		if err != nil {
			return err
		}
		return read(body)
	})
	e.note(err)
	return err
}

// note says now and then in the log why a service gives no answers.
func (e *endpoint) note(err error) {
	var o outageError
	if !errors.As(err, &o) {
		return
	}
	if e.noted.again() {
		e.log.Warn("no answer", zap.String("reason", o.why))
	} else {
		e.log.Debug("no answer", zap.String("reason", o.why))
	}
}

// tokenQuestion asks about a token in the way of the endpoint's method.
func (e *endpoint) tokenQuestion(token string, peer netip.Addr, again bool) question {
	q := question{peer: peer, again: again}
	if e.method == http.MethodGet {
		q.bearer = token
	} else {
		q.body = struct {
			Token string `json:"token"`
		}{token}
	}
	return q
}
