package tracing

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
)

const (
	// firstWait is the wait after a request that the collector could not take at
	// the moment; each further one is twice as long, within the time of a batch.
	firstWait = 500 * time.Millisecond
	// maxAnswer is how much of an answer is read, so that its connection can be
	// used again.
	maxAnswer = 64 << 10
	// saidEvery is how often the log says that traces are not sent.
	saidEvery = 30 * time.Second
)

// exporter hands spans to the collector. What it does not take is dropped and
// said in the log: the library would tell its global handler of errors.
type exporter struct {
	*otlptrace.Exporter
	abort context.CancelFunc // ends the requests under way
	close func()             // and lets connections go
	log   *zap.Logger
	said  atomic.Int64 // Unix nanoseconds of the last line in the log
}

var _ sdktrace.SpanExporter = (*exporter)(nil)

func newExporter(cfg Config, log *zap.Logger) (*exporter, error) {
	c, err := newCollector(cfg)
	if err != nil {
		return nil, err
	}
	return &exporter{Exporter: otlptrace.NewUnstarted(c), abort: c.abort, close: c.close, log: log}, nil
}

// ExportSpans implements sdktrace.SpanExporter.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.Exporter.ExportSpans(ctx, spans)
	if err == nil {
		return nil
	}
	now, last := time.Now().UnixNano(), e.said.Load()
	if last == 0 || now-last >= int64(saidEvery) {
		e.said.Store(now)
		e.log.Warn("traces: spans were dropped", zap.Int("spans", len(spans)), zap.Error(err))
	}
	return nil
}

// collector sends spans over OTLP/HTTP in protobuf, as
// https://opentelemetry.io/docs/specs/otlp/ has it. It stands for the library's
// own client, which brings all of gRPC along, reads the environment itself and
// quotes answers in its errors. Safe for concurrent use.
type collector struct {
	// Immutable after newCollector.
	http    *http.Client
	url     string
	headers map[string]string
	gzip    bool
	ending  context.Context //nolint:containedctx // of all requests
	abort   context.CancelFunc
}

var _ otlptrace.Client = (*collector)(nil)

func newCollector(cfg Config) (*collector, error) {
	pool, err := cfg.authorities()
	if err != nil {
		return nil, err
	}
	c := &collector{url: cfg.URL(), headers: cfg.headers(), gzip: cfg.Compression == compressGzip}
	c.ending, c.abort = context.WithCancel(context.Background())
	c.http = &http.Client{
		// A redirect would carry the headers to somebody else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: cfg.timeout()}).DialContext,
			TLSClientConfig:     &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout: cfg.timeout(), IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
		},
	}
	return c, nil
}

// Start implements otlptrace.Client.
func (c *collector) Start(context.Context) error { return nil }

// close ends requests under way and connections.
func (c *collector) close() {
	c.abort()
	c.http.CloseIdleConnections()
}

// Stop implements otlptrace.Client.
func (c *collector) Stop(context.Context) error {
	c.close()
	return nil
}

// UploadTraces implements otlptrace.Client. It tries again, within ctx, what the
// collector says it cannot take now.
func (c *collector) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.ending, cancel)() //nolint:contextcheck // the end of either ends it
	body, err := c.body(spans)
	if err != nil {
		return err
	}
	for wait := firstWait; ; wait *= 2 {
		again, err := c.send(ctx, body)
		if !again || pause(ctx, wait) != nil {
			return err
		}
	}
}

// body encodes a request. TracesData is ExportTraceServiceRequest on the wire,
// whose package would bring gRPC.
func (c *collector) body(spans []*tracepb.ResourceSpans) ([]byte, error) {
	plain, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return nil, fmt.Errorf("encode spans: %w", err)
	}
	if !c.gzip {
		return plain, nil
	}
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(plain); err != nil {
		return nil, fmt.Errorf("compress spans: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress spans: %w", err)
	}
	return out.Bytes(), nil
}

// send sends one request, and tells whether to try again what failed.
func (c *collector) send(ctx context.Context, body []byte) (again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return false, errors.New("the request cannot be made")
	}
	for name, value := range c.headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("User-Agent", "ws-gateway")
	if c.gzip {
		req.Header.Set("Content-Encoding", "gzip")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return false, lost(ctx, err)
	}
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer) // lets the connection be used again
	_ = resp.Body.Close()                             // nothing was written
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true, statusError(resp.StatusCode)
	}
	if resp.StatusCode/100 != 2 {
		return false, statusError(resp.StatusCode)
	}
	return false, nil
}

// statusError is an answer that is no success.
type statusError int

// Error implements error.
func (s statusError) Error() string {
	return fmt.Sprintf("the collector answers with status %d", int(s))
}

// lost is the error of a request without an answer, in words that hold nothing
// of what was sent.
func lost(ctx context.Context, err error) error {
	var network *net.OpError
	var certificate *tls.CertificateVerificationError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("the collector gives no answer in time: %w", ctx.Err())
	case errors.As(err, &network):
		return network
	case errors.As(err, &certificate):
		return certificate
	}
	return errors.New("the connection broke, or the answer is not HTTP")
}

// pause waits, or returns ctx's error.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
