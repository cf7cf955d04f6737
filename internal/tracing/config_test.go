package tracing

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// on are settings with traces, as the environment's defaults make them.
func on() Config {
	return Config{
		Exporter: "otlp", Endpoint: "http://localhost:4318", Protocol: "http/protobuf", Compression: "none",
		TimeoutMS: 10000, DelayMS: 5000, Sampler: "parentbased_always_on",
	}
}

func TestEachFaultIsNamed(t *testing.T) {
	garbage := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(garbage, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, trial := range map[string]struct {
		set  func(*Config)
		want string
	}{
		"another exporter":           {func(c *Config) { c.Exporter = "zipkin" }, `OTEL_TRACES_EXPORTER "zipkin": want otlp or none`},
		"another protocol":           {func(c *Config) { c.Protocol = "grpc" }, `OTEL_EXPORTER_OTLP_PROTOCOL "grpc": want http/protobuf`},
		"another protocol of traces": {func(c *Config) { c.TracesProtocol = "http/json" }, `OTEL_EXPORTER_OTLP_TRACES_PROTOCOL "http/json"`},
		"no scheme":                  {func(c *Config) { c.Endpoint = "localhost:4318" }, "OTEL_EXPORTER_OTLP_ENDPOINT: want http"},
		"a password in the URL":      {func(c *Config) { c.TracesEndpoint = "http://u:hunter2@h/" }, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: want"},
		"a header without a value":   {func(c *Config) { c.Headers = "hunter2" }, "OTEL_EXPORTER_OTLP_HEADERS: want name=value"},
		"a header's name":            {func(c *Config) { c.TracesHeaders = "hunt er2=1" }, "OTEL_EXPORTER_OTLP_TRACES_HEADERS: want names"},
		"a header's value":           {func(c *Config) { c.Headers = "a=hunter2%0d%0ab: c" }, "OTEL_EXPORTER_OTLP_HEADERS: want names"},
		"attributes":                 {func(c *Config) { c.ResourceAttributes = "a=%zz" }, "OTEL_RESOURCE_ATTRIBUTES: want name=value"},
		"a time":                     {func(c *Config) { c.TimeoutMS = 0 }, "OTEL_EXPORTER_OTLP_TIMEOUT 0: want milliseconds"},
		"a delay":                    {func(c *Config) { c.DelayMS = -1 }, "OTEL_BSP_SCHEDULE_DELAY -1: want milliseconds"},
		"a sampler":                  {func(c *Config) { c.Sampler = "jaeger_remote" }, `OTEL_TRACES_SAMPLER "jaeger_remote": want always_on`},
		"half a sampler":             {func(c *Config) { c.Sampler = "parentbased_" }, `OTEL_TRACES_SAMPLER "parentbased_"`},
		"a share above 1":            {func(c *Config) { c.Sampler, c.SamplerArg = "traceidratio", "5" }, `OTEL_TRACES_SAMPLER_ARG "5": want a number`},
		"a share that is none":       {func(c *Config) { c.Sampler, c.SamplerArg = "traceidratio", "NaN" }, `OTEL_TRACES_SAMPLER_ARG "NaN"`},
		"compression":                {func(c *Config) { c.Compression = "zstd" }, `OTEL_EXPORTER_OTLP_COMPRESSION "zstd": want gzip`},
		"no file":                    {func(c *Config) { c.Certificate = garbage + ".not" }, "OTEL_EXPORTER_OTLP_CERTIFICATE: open"},
		"no certificate":             {func(c *Config) { c.Certificate = garbage }, "want a PEM file"},
	} {
		t.Run(name, func(t *testing.T) {
			c := on()
			trial.set(&c)
			err := c.Validate()
			if err == nil || !strings.Contains(err.Error(), trial.want) {
				t.Fatalf("got %v, want %s", err, trial.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("a secret is shown: %v", err)
			}
		})
	}
}

func TestWhatIsMeantForOthersIsNoFaultWhileTracesAreOff(t *testing.T) {
	for _, c := range []Config{
		{Exporter: "none", Protocol: "grpc", Endpoint: "otel:4317"},
		{Protocol: "grpc"},
		{Exporter: "otlp", Disabled: true, Sampler: "nonsense"},
	} {
		if err := c.Validate(); err != nil || c.Enabled() {
			t.Errorf("%+v: %v, enabled: %v", c, err, c.Enabled())
		}
	}
	c := on()
	c.Protocol, c.TracesProtocol = "grpc", "http/protobuf"
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}

func TestEverySamplerOfTheSpecificationIsKnown(t *testing.T) {
	for name, want := range map[string]string{
		"":                         "ParentBased{root:AlwaysOnSampler",
		"always_on":                "AlwaysOnSampler",
		"always_off":               "AlwaysOffSampler",
		"traceidratio":             "TraceIDRatioBased{0.25}",
		"parentbased_always_on":    "ParentBased{root:AlwaysOnSampler",
		"parentbased_always_off":   "ParentBased{root:AlwaysOffSampler",
		"parentbased_traceidratio": "ParentBased{root:TraceIDRatioBased{0.25}",
	} {
		c := on()
		c.Sampler, c.SamplerArg = name, "0.25"
		if err := c.Validate(); err != nil {
			t.Error(name, err)
		}
		if got := samplerOf(c).Description(); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestTheEndpointOfTracesIsTakenAsItIs(t *testing.T) {
	c := on()
	c.Endpoint = "https://collector:4318/base/"
	if got := c.URL(); got != "https://collector:4318/base/v1/traces" {
		t.Error(got)
	}
	c.TracesEndpoint = "https://other/path"
	if got := c.URL(); got != "https://other/path" {
		t.Error(got)
	}
}
