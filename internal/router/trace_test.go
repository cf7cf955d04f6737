package router

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/tracing"
	"github.com/moonx-farm/ws-gateway/internal/tracing/tracetest"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestWithoutATracerAPublishAllocatesNothingMore(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, r *rig) {
		ann := r.user("ann")
		p := broker.Publication{Publication: wire.Publication{Room: "open:a", Data: []byte("1")}}
		failed := errors.New("failed")
		if n := testing.AllocsPerRun(100, func() {
			m := r.router.measure(ann.s, &p)
			m.end(failed)
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

// traced gives a router a tracer; end sends what there is.
func (r *rig) traced(t *testing.T, c *tracetest.Collector) (end func()) {
	t.Helper()
	tracer, err := tracing.New(tracing.Config{
		Exporter: "otlp", Endpoint: c.URL, TimeoutMS: 10_000, DelayMS: 10_000,
	}, tracing.Process{Instance: "here"}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	r.router.UseTracer(tracer)
	return func() {
		if err := tracer.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}
}

func TestEveryPublishHasASpanThatNamesItsRule(t *testing.T) {
	for name, elsewhere := range map[string]bool{"a broker here": false, "a broker elsewhere": true} {
		t.Run(name, func(t *testing.T) {
			c := tracetest.New(t)
			r := start(t, options{elsewhere: elsewhere})
			defer r.stop()
			end := r.traced(t, c)
			ann := r.discard("ann")
			ann.Text(join("open:a"))
			ann.Text(publish(1, "open:a", "e", ""))
			for limit := time.Now().Add(time.Minute); r.router.Stats().Published == 0 && time.Now().Before(limit); {
				time.Sleep(time.Millisecond)
			}
			one := r.router.hub.Connections("ann")[0]
			ctx := t.Context()
			out := Outgoing{Event: "e", Publisher: "backend"}
			if _, err := r.router.SendRoom(ctx, "news", out); err != nil {
				t.Error(err)
			}
			if _, err := r.router.SendUser(ctx, "ann", out); err != nil {
				t.Error(err)
			}
			if err := r.router.SendConnection(ctx, one.ID(), out); err != nil {
				t.Error(err)
			}
			if err := r.router.SendEveryone(ctx, out); err != nil {
				t.Error(err)
			}
			r.router.Shutdown() // what waits has its answer
			end()
			seen := map[string]string{}
			for _, s := range c.Spans() {
				seen[s.Name] = s.Attributes["ws_gateway.connection.id"]
			}
			for _, want := range []string{"publish news", "publish user:*", "publish connection", "publish everyone"} {
				if by, there := seen[want]; !there || by != "" {
					t.Errorf("%s: %v, by %q", want, there, by)
				}
			}
			if by := seen["publish open:*"]; by != one.ID() {
				t.Errorf("a client's publish is by %q, want %q; there are %v", by, one.ID(), seen)
			}
		})
	}
}

func TestAPublishThatFailsIsTold(t *testing.T) {
	c := tracetest.New(t)
	r := start(t, options{elsewhere: true})
	defer r.stop()
	end := r.traced(t, c)
	r.remote.do(func(_ context.Context, op, _ string) error {
		if op == "publish" {
			return wire.NewError(wire.Unavailable, "away")
		}
		return nil
	})
	if _, err := r.router.SendRoom(t.Context(), "news", Outgoing{Event: "e"}); err == nil {
		t.Error("it was published")
	}
	end()
	all := c.Spans()
	if len(all) != 1 || !all[0].Failed || all[0].Attributes["error.type"] != "unavailable" {
		t.Errorf("%+v", all)
	}
}

// BenchmarkTracedPublish is BenchmarkPublish with traces on: of which none is
// kept, and of which all are.
func BenchmarkTracedPublish(b *testing.B) {
	for _, sampler := range []string{"always_off", "always_on"} {
		b.Run(sampler, func(b *testing.B) {
			tracer, err := tracing.New(tracing.Config{
				Exporter: "otlp", Endpoint: "http://127.0.0.1:1", TimeoutMS: 1000, DelayMS: 1000, Sampler: sampler,
			}, tracing.Process{}, zap.NewNop())
			if err != nil {
				b.Fatal(err)
			}
			r := start(b, options{})
			defer r.stop()
			r.router.UseTracer(tracer)
			c := r.discard("ann")
			c.Text(join("open:a"))
			message := []byte(publish(1, "open:a", "e", ""))
			done := c.Count()
			b.ReportAllocs()
			for b.Loop() {
				c.Receive(wire.Text, message)
				for done += 2; done-c.Count() > 200; {
					runtime.Gosched()
				}
			}
			if err := tracer.Shutdown(b.Context()); err != nil {
				b.Error(err)
			}
		})
	}
}
