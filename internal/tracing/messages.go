package tracing

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// Publish begins the span of a publish to a room, of which pattern is the
// policy's, and size the data's in bytes. connection is the client's that
// publishes, empty for backends. What is said of it is made only when the span is
// kept: of many publishes, few are.
func (t *Tracer) Publish(ctx context.Context, pattern, connection string, size int) Span {
	if t == nil {
		return Span{}
	}
	_, span := t.tracer.Start(ctx, "publish", t.publishing...)
	if span.IsRecording() {
		span.SetName("publish " + pattern)
		span.SetAttributes(attribute.String(keySystem, systemGateway), attribute.String(keyOperation, "publish"),
			attribute.String(keyKind, "send"), attribute.String(keyTemplate, pattern), attribute.Int(keyBodySize, size))
		if connection != "" {
			span.SetAttributes(attribute.String(keyConnection, connection))
		}
	}
	return Span{span}
}

// Route begins the span of a client's event on its way to a service or stream.
// pattern is the policy's.
func (t *Tracer) Route(ctx context.Context, pattern, connection string) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	return t.begin(ctx, "route "+pattern, trace.SpanKindServer,
		attribute.String(keyEvent, pattern), attribute.String(keyConnection, connection))
}

// Add begins the span of an event that is added to a Redis stream.
func (t *Tracer) Add(ctx context.Context, stream string) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	return t.begin(ctx, "send "+stream, trace.SpanKindProducer,
		attribute.String(keySystem, systemRedis), attribute.String(keyOperation, "send"), attribute.String(keyKind, "send"),
		attribute.String(keyDestination, stream))
}

// Command begins the span of one attempt of a command, which continues the trace
// of the backend that wrote it. entry is its id in the stream, operation its op.
func (t *Tracer) Command(ctx context.Context, from Context, stream, entry, operation string) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	return t.begin(from.remote(ctx), "process "+stream, trace.SpanKindConsumer,
		attribute.String(keySystem, systemRedis), attribute.String(keyOperation, "process"), attribute.String(keyKind, "process"),
		attribute.String(keyDestination, stream), attribute.String(keyMessage, entry), attribute.String(keyCommand, operation))
}
