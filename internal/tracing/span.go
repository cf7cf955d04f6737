package tracing

import (
	"context"
	"errors"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Span is one operation under way. The zero Span records nothing. End it once.
type Span struct{ span trace.Span } // nil: records nothing

// Current is the span of a context, the zero Span without one.
func Current(ctx context.Context) Span {
	if s := trace.SpanFromContext(ctx); s.IsRecording() {
		return Span{s}
	}
	return Span{}
}

// Carry gives a context the span of another one: for a call that goes on when
// who asked for it has left.
func Carry(to, from context.Context) context.Context {
	if sc := trace.SpanContextFromContext(from); sc.IsValid() {
		return trace.ContextWithSpanContext(to, sc)
	}
	return to
}

// begin begins a span.
func (t *Tracer) begin(ctx context.Context, name string, kind trace.SpanKind, about ...attribute.KeyValue) (context.Context, Span) {
	ctx, span := t.tracer.Start(ctx, name, trace.WithSpanKind(kind), trace.WithAttributes(about...))
	return ctx, Span{span}
}

// End ends the span; err is how the operation failed, nil if it did not.
func (s Span) End(err error) {
	if s.span == nil {
		return
	}
	if err != nil {
		s.fail(errorType(err))
	}
	s.span.End()
}

// Fail says that the operation failed. It does not end the span.
func (s Span) Fail(err error) {
	if s.span != nil {
		s.fail(errorType(err))
	}
}

// Refuse says why a request was refused, in a word that comes from a table, and
// with which status.
func (s Span) Refuse(reason string, status int) {
	if s.span == nil {
		return
	}
	s.span.SetAttributes(attribute.String(keyRefusal, reason), attribute.Int(keyStatus, status))
	s.fail(reason)
}

// Connection says which connection it is about.
func (s Span) Connection(id string) {
	if s.span != nil {
		s.span.SetAttributes(attribute.String(keyConnection, id))
	}
}

// Status says with which status of HTTP a request was answered.
func (s Span) Status(status int) {
	if s.span != nil {
		s.span.SetAttributes(attribute.Int(keyStatus, status))
	}
}

// Context is the span's W3C trace context, empty texts without one.
func (s Span) Context() Context {
	if s.span == nil {
		return Context{}
	}
	sc := s.span.SpanContext()
	flags := sc.TraceFlags() & (trace.FlagsSampled | trace.FlagsRandom)
	return Context{
		Parent: "00-" + sc.TraceID().String() + "-" + sc.SpanID().String() + "-" + flags.String(),
		State:  sc.TraceState().String(),
	}
}

func (s Span) fail(kind string) {
	s.span.SetAttributes(attribute.String(keyError, kind))
	s.span.SetStatus(codes.Error, "")
}

// errorType names a kind of error: a code of the wire protocol where there is
// one. Its text stays here.
func errorType(err error) string {
	var known *wire.Error
	switch {
	case errors.As(err, &known):
		return string(known.Code)
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "canceled"
	}
	return "_OTHER"
}

// Names of the headers and fields of a W3C trace context
// (https://www.w3.org/TR/trace-context/).
const (
	headerParent = "traceparent"
	headerState  = "tracestate"
)

// Bounds of a trace context in bytes; longer ones are not continued.
const (
	maxParent = 128
	maxState  = 1024
)

// Context is a W3C trace context as text. What is not valid continues no trace.
type Context struct{ Parent, State string }

// contextOf reads the trace context of a request.
func contextOf(h http.Header) Context { return Context{h.Get(headerParent), h.Get(headerState)} }

// remote gives a context the span of another process.
func (c Context) remote(ctx context.Context) context.Context {
	if c.Parent == "" || len(c.Parent) > maxParent {
		return ctx
	}
	carrier := propagation.MapCarrier{headerParent: c.Parent}
	if len(c.State) <= maxState {
		carrier[headerState] = c.State
	}
	return propagation.TraceContext{}.Extract(ctx, carrier)
}
