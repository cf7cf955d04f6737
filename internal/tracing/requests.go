package tracing

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// Connect begins the span of a client's request for a connection on the route
// of a path, and returns the request with it. A trace context that the client
// sent is linked to, and not continued.
func (t *Tracer) Connect(r *http.Request, route string) (*http.Request, Span) {
	if t == nil {
		return r, Span{}
	}
	ctx, span := t.tracer.Start(r.Context(), methodOf(r)+" "+route,
		trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindServer),
		trace.WithLinks(linksOf(r.Context(), contextOf(r.Header))...),
		trace.WithAttributes(
			attribute.String(keyMethod, methodOf(r)), attribute.String(keyRoute, route),
			attribute.String(keyScheme, schemeOf(r)),
		))
	return r.WithContext(ctx), Span{span}
}

// linksOf is a link to a trace context, none if it is not valid.
func linksOf(ctx context.Context, c Context) []trace.Link {
	sc := trace.SpanContextFromContext(c.remote(ctx))
	if !sc.IsRemote() {
		return nil
	}
	return []trace.Link{{SpanContext: sc}}
}

// ConnectPacket begins the span of a Socket.IO CONNECT on a connection.
func (t *Tracer) ConnectPacket(ctx context.Context, connection string) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	return t.begin(ctx, "socket.io connect", trace.SpanKindServer,
		attribute.String(keyProtocol, "socket.io"), attribute.String(keyConnection, connection))
}

// Authenticate begins the span of a verification of a token.
func (t *Tracer) Authenticate(ctx context.Context) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	return t.begin(ctx, "authenticate", trace.SpanKindInternal)
}

// Request begins the span of a backend's request, which continues the backend's
// trace. route is the pattern of its path. What only looks has no span: who
// watches the gateway would fill the collector.
func (t *Tracer) Request(ctx context.Context, r *http.Request, route string) (context.Context, Span) {
	if t == nil || r.Method != http.MethodPost {
		return ctx, Span{}
	}
	return t.begin(contextOf(r.Header).remote(ctx), r.Method+" "+route, trace.SpanKindServer,
		attribute.String(keyMethod, r.Method), attribute.String(keyRoute, route),
		attribute.String(keyScheme, schemeOf(r)))
}

// EndRequest ends the span of a request that was answered with a status. Only
// what the gateway could not do is its failure.
func (s Span) EndRequest(status int) {
	if s.span == nil {
		return
	}
	s.Status(status)
	if status >= http.StatusInternalServerError {
		s.fail(strconv.Itoa(status))
	}
	s.span.End()
}

// Call begins the span of a request to another service, and gives the request
// its trace context. The span's parent is that of the request's context.
func (t *Tracer) Call(r *http.Request) Span {
	if t == nil {
		return Span{}
	}
	about := []attribute.KeyValue{
		attribute.String(keyMethod, r.Method), attribute.String(keyURL, bare(r.URL)), attribute.String(keyServerAddress, r.URL.Hostname()),
	}
	if port, err := strconv.Atoi(r.URL.Port()); err == nil {
		about = append(about, attribute.Int(keyServerPort, port))
	}
	_, span := t.begin(r.Context(), r.Method, trace.SpanKindClient, about...)
	c := span.Context()
	r.Header.Set(headerParent, c.Parent)
	if c.State != "" {
		r.Header.Set(headerState, c.State)
	}
	return span
}

// EndCall ends the span of a call that was answered with a status, or with err
// not at all.
func (s Span) EndCall(status int, err error) {
	if s.span == nil {
		return
	}
	if status != 0 {
		s.Status(status)
	}
	switch {
	case err != nil:
		s.fail(errorType(err))
	case status >= http.StatusBadRequest:
		s.fail(strconv.Itoa(status))
	}
	s.span.End()
}

// bare is a URL without what may be secret in it.
func bare(u *url.URL) string { return u.Scheme + "://" + u.Host + u.Path }

// methodOf is a request's method, which a client may have made up.
func methodOf(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodPost, http.MethodHead, http.MethodOptions, http.MethodConnect:
		return r.Method
	}
	return "_OTHER"
}

func schemeOf(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	return "http"
}
