package bridge

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/tracing"
)

// Dial opens connections to backends, as net.Dialer does.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

const (
	// idleTime is how long a connection to a backend is kept for the next
	// request: less than the 5 s after which Node.js closes it, since a
	// request that meets the close is lost and must not be repeated.
	idleTime       = 4 * time.Second
	dialTime       = 3 * time.Second
	maxIdle        = 64 // connections kept per backend
	maxHeaderBytes = 16 << 10
)

// Client sends signed requests to backends. Make it with NewClient. Safe for
// concurrent use.
type Client struct {
	transport *http.Transport
	secrets   []string
	agent     string
	tracer    *tracing.Tracer // nil: makes no spans
}

// NewClient makes a client. It follows no redirects, keeps no cookies and uses
// no proxy.
func NewClient(cfg Config, dial Dial) *Client {
	return &Client{
		secrets: cfg.SigningSecrets,
		agent:   "ws-gateway/" + cfg.Version,
		transport: &http.Transport{
			DialContext:            tellDial(dial),
			ForceAttemptHTTP2:      true,
			DisableCompression:     true, // what is read is what was sent
			TLSHandshakeTimeout:    dialTime,
			IdleConnTimeout:        idleTime,
			MaxIdleConnsPerHost:    maxIdle,
			MaxResponseHeaderBytes: maxHeaderBytes,
		},
	}
}

// UseTracer says what makes spans of requests, and gives backends their trace
// context. Call it before the first request.
func (c *Client) UseTracer(t *tracing.Tracer) { c.tracer = t }

// Close closes the connections that nobody uses.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// dialError says that no connection came about, so that nothing was sent.
type dialError struct{ err error }

func (e *dialError) Error() string { return "dial: " + e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

func tellDial(dial Dial) Dial {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, dialTime)
		defer cancel()
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, &dialError{err}
		}
		return conn, nil
	}
}

// response is what a backend answered.
type response struct {
	status int
	body   []byte
	long   bool // the body has more than was to be read; it is left out
}

// post sends a JSON body and reads at most limit bytes of the answer. An error
// that is no *dialError leaves open whether the backend has acted.
//
// There must be no Idempotency-Key header: net/http would repeat the request
// by itself when a kept connection breaks.
func (c *Client) post(ctx context.Context, url string, body []byte, limit int) (out response, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return response{}, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.agent)
	if len(c.secrets) > 0 {
		req.Header.Set(SignatureHeader, signature(c.secrets, time.Now(), body))
	}
	call := c.tracer.Call(req)
	defer func() { call.EndCall(out.status, err) }()
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return response{}, lost(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	out.status = resp.StatusCode
	b, err := io.ReadAll(io.LimitReader(resp.Body, int64(limit)+1))
	switch {
	case err != nil:
		return response{}, lost(ctx, err)
	case len(b) > limit:
		out.long = true
	default:
		out.body = b
	}
	return out, nil
}

var errBroken = errors.New("the connection broke, or the answer is not HTTP")

// lost is the error of a request without an answer that can be read, in words
// for the log: what net/http says of an answer quotes it, and that may be what
// was sent.
func lost(ctx context.Context, err error) error {
	var unsent *dialError
	var network *net.OpError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &unsent):
		return unsent
	case ctx.Err() != nil:
		return fmt.Errorf("send request: %w", ctx.Err())
	case errors.As(err, &network):
		return fmt.Errorf("send request: %w", network)
	case errors.As(err, &certificate):
		return fmt.Errorf("send request: %w", certificate)
	}
	return errBroken
}
