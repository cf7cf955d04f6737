// Package tracetest stands in for an OpenTelemetry collector: it takes spans over
// OTLP/HTTP in protobuf, as collectors do, and keeps them. It is for tests alone.
package tracetest

import (
	"compress/gzip"
	"context"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// patience is how long Wait waits for what must come.
const patience = 60 * time.Second

// Span is a span as it was received. Attributes are texts, whatever they were.
type Span struct {
	Trace, ID, Parent string // hexadecimal; Parent is empty for a root
	Name, Kind        string // Kind as SERVER, CLIENT, …
	Failed            bool
	Attributes        map[string]string
	Resource          map[string]string
	Links             []string // the traces linked to
	State             string
}

// Collector takes spans. Make it with New. Safe for concurrent use.
type Collector struct {
	// URL is where it listens, without a path.
	URL string

	server *httptest.Server

	mu      sync.Mutex
	spans   []Span        // guarded by mu
	headers []http.Header // guarded by mu: of the requests
	answers []int         // guarded by mu: statuses of the next answers
	raw     []byte        // guarded by mu: all bodies
}

// New makes a collector that listens until the test ends.
func New(t testing.TB) *Collector {
	t.Helper()
	c := &Collector{}
	c.server = httptest.NewServer(c)
	c.URL = c.server.URL
	t.Cleanup(c.server.Close)
	return c
}

// Answer has the next requests answered with statuses, and nothing of them kept.
func (c *Collector) Answer(statuses ...int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers = append(c.answers, statuses...)
}

// ServeHTTP implements http.Handler.
func (c *Collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status := c.take(r)
	w.Header().Set("Content-Type", "application/x-protobuf")
	w.WriteHeader(status)
	if status != http.StatusOK {
		_, _ = io.WriteString(w, "what a collector says")
	}
}

// take keeps what a request holds, and returns the status of the answer.
func (c *Collector) take(r *http.Request) int {
	var in io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		plain, err := gzip.NewReader(r.Body)
		if err != nil {
			return http.StatusBadRequest
		}
		in = plain
	}
	body, err := io.ReadAll(in)
	var data tracepb.TracesData
	if err != nil || r.Method != http.MethodPost || r.URL.Path != "/v1/traces" ||
		r.Header.Get("Content-Type") != "application/x-protobuf" || proto.Unmarshal(body, &data) != nil {
		return http.StatusBadRequest
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.headers = append(c.headers, r.Header.Clone())
	c.raw = append(c.raw, body...)
	if len(c.answers) > 0 {
		status := c.answers[0]
		c.answers = c.answers[1:]
		return status
	}
	for _, of := range data.GetResourceSpans() {
		resource := texts(of.GetResource().GetAttributes())
		for _, scope := range of.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				c.spans = append(c.spans, spanOf(s, resource))
			}
		}
	}
	return http.StatusOK
}

func spanOf(s *tracepb.Span, resource map[string]string) Span {
	out := Span{
		Trace: hex.EncodeToString(s.GetTraceId()), ID: hex.EncodeToString(s.GetSpanId()), Parent: hex.EncodeToString(s.GetParentSpanId()),
		Name: s.GetName(), Kind: s.GetKind().String()[len("SPAN_KIND_"):], State: s.GetTraceState(),
		Failed:     s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR,
		Attributes: texts(s.GetAttributes()), Resource: resource,
	}
	for _, l := range s.GetLinks() {
		out.Links = append(out.Links, hex.EncodeToString(l.GetTraceId()))
	}
	return out
}

func texts(all []*commonpb.KeyValue) map[string]string {
	out := map[string]string{}
	for _, kv := range all {
		switch v := kv.GetValue().GetValue().(type) {
		case *commonpb.AnyValue_StringValue:
			out[kv.GetKey()] = v.StringValue
		case *commonpb.AnyValue_IntValue:
			out[kv.GetKey()] = strconv.FormatInt(v.IntValue, 10)
		default:
			out[kv.GetKey()] = kv.GetValue().String()
		}
	}
	return out
}

// Spans are those that were received, in their order.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Span(nil), c.spans...)
}

// Headers are those of the requests, in their order.
func (c *Collector) Headers() []http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]http.Header(nil), c.headers...)
}

// Raw is all that was received, without compression.
func (c *Collector) Raw() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]byte(nil), c.raw...)
}

// Wait waits for a span of which f holds, and returns it.
func (c *Collector) Wait(t testing.TB, what string, f func(Span) bool) Span {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, s := range c.Spans() {
			if f(s) {
				return s
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("no span came: %s; there are %+v", what, c.Spans())
		}
	}
}
