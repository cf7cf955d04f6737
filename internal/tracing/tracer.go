package tracing

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
)

// scope names who makes the spans.
const scope = "github.com/moonx-farm/ws-gateway"

// stopTime bounds how long Shutdown waits for the collector.
const stopTime = 3 * time.Second

// Process says whose spans they are.
type Process struct {
	Instance string // INSTANCE_ID
	Version  string // of the program
}

// Tracer makes spans. Make it with New; nil makes none. Safe for concurrent use.
type Tracer struct {
	// Immutable after New.
	provider   *sdktrace.TracerProvider
	exporter   *exporter
	tracer     trace.Tracer
	publishing []trace.SpanStartOption // of a publish
}

// New makes a Tracer, or nil if cfg has traces off. It waits for nobody: a
// collector that cannot be reached is said in the log. End it with Shutdown.
func New(cfg Config, who Process, log *zap.Logger) (*Tracer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if !cfg.Enabled() {
		return nil, nil //nolint:nilnil // nil is a Tracer that is off
	}
	out, err := newExporter(cfg, log)
	if err != nil {
		return nil, err
	}
	provider := sdktrace.NewTracerProvider(
		// The sizes are given, or the library would read them of the environment,
		// unchecked.
		sdktrace.WithBatcher(out, sdktrace.WithBatchTimeout(cfg.delay()), sdktrace.WithExportTimeout(cfg.timeout()),
			sdktrace.WithMaxQueueSize(sdktrace.DefaultMaxQueueSize), sdktrace.WithMaxExportBatchSize(sdktrace.DefaultMaxExportBatchSize)),
		sdktrace.WithSampler(samplerOf(cfg)),
		sdktrace.WithResource(resourceOf(cfg, who)),
	)
	return &Tracer{
		provider: provider, exporter: out, publishing: []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindProducer)},
		tracer: provider.Tracer(scope, trace.WithInstrumentationVersion(who.Version)),
	}, nil
}

// Shutdown sends what is left, for a few seconds at most and within ctx, and ends
// the Tracer. What could not be sent is said in the log, and is no error: nobody's
// message is lost with it.
func (t *Tracer) Shutdown(ctx context.Context) error {
	if t == nil {
		return nil
	}
	sending, cancel := context.WithTimeout(ctx, stopTime)
	defer cancel()
	defer t.exporter.close()
	defer context.AfterFunc(sending, t.exporter.abort)()
	// It is the requests that end with ctx: the library would leave its goroutine.
	if err := t.provider.Shutdown(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("end traces: %w", err)
	}
	return nil
}

// On tells whether there are spans at all.
func (t *Tracer) On() bool { return t != nil }

// samplerOf makes the sampler of valid settings.
func samplerOf(cfg Config) sdktrace.Sampler {
	share, byParent, _ := cfg.sampler()
	s := sdktrace.TraceIDRatioBased(share)
	switch share {
	case 1:
		s = sdktrace.AlwaysSample()
	case 0:
		s = sdktrace.NeverSample()
	}
	if byParent {
		return sdktrace.ParentBased(s)
	}
	return s
}

// resourceOf says whose spans they are. Settings come before what the program
// knows of itself.
func resourceOf(cfg Config, who Process) *resource.Resource {
	about := map[string]string{
		keyServiceName: "ws-gateway", keyServiceVersion: who.Version, keyServiceInstance: who.Instance,
		keySDKName: "opentelemetry", keySDKLanguage: "go", keySDKVersion: sdkVersion(),
	}
	set, _ := pairs(cfg.ResourceAttributes) // Validate has read them
	for name, value := range set {
		about[name] = value
	}
	if cfg.ServiceName != "" {
		about[keyServiceName] = cfg.ServiceName
	}
	all := make([]attribute.KeyValue, 0, len(about))
	for name, value := range about {
		all = append(all, attribute.String(name, value))
	}
	return resource.NewSchemaless(all...)
}
