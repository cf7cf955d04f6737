package tracing

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// Config holds the settings of traces, which are those of the OpenTelemetry
// specification. Nothing else is looked at while traces are off: who sets them
// for all of a fleet may mean other programs.
type Config struct {
	// Disabled turns traces off whatever else is set.
	Disabled bool `env:"OTEL_SDK_DISABLED" envDefault:"false"`
	// Exporter is otlp, which turns traces on, or none.
	Exporter string `env:"OTEL_TRACES_EXPORTER" envDefault:"none"`
	// Endpoint is the collector's URL, to which /v1/traces is added.
	Endpoint string `env:"OTEL_EXPORTER_OTLP_ENDPOINT" envDefault:"http://localhost:4318"`
	// TracesEndpoint is the whole URL for traces; empty: made of Endpoint.
	TracesEndpoint string `env:"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"`
	// Headers are sent with each request, as name=value,name=value with values
	// in percent-encoding. TracesHeaders take their place if set.
	Headers       string `env:"OTEL_EXPORTER_OTLP_HEADERS" secret:"true"`
	TracesHeaders string `env:"OTEL_EXPORTER_OTLP_TRACES_HEADERS" secret:"true"`
	// Protocol is http/protobuf, the only one there is. TracesProtocol takes its
	// place if set.
	Protocol       string `env:"OTEL_EXPORTER_OTLP_PROTOCOL" envDefault:"http/protobuf"`
	TracesProtocol string `env:"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"`
	// Compression is gzip or none.
	Compression string `env:"OTEL_EXPORTER_OTLP_COMPRESSION" envDefault:"none"`
	// Certificate is a PEM file of the authorities that the collector's
	// certificate is checked with; empty: those of the system.
	Certificate string `env:"OTEL_EXPORTER_OTLP_CERTIFICATE"`
	// TimeoutMS bounds one request, in milliseconds.
	TimeoutMS int `env:"OTEL_EXPORTER_OTLP_TIMEOUT" envDefault:"10000"`
	// DelayMS is how long spans are gathered before they are sent, in
	// milliseconds.
	DelayMS int `env:"OTEL_BSP_SCHEDULE_DELAY" envDefault:"5000"`
	// ServiceName is the name of the service; empty: ws-gateway, unless
	// ResourceAttributes has one.
	ServiceName string `env:"OTEL_SERVICE_NAME"`
	// ResourceAttributes are added to what is said of this process, as
	// name=value,name=value with values in percent-encoding.
	ResourceAttributes string `env:"OTEL_RESOURCE_ATTRIBUTES"`
	// Sampler decides which traces are kept: always_on, always_off,
	// traceidratio, and parentbased_ before these, which goes by the trace that
	// is continued.
	Sampler string `env:"OTEL_TRACES_SAMPLER" envDefault:"parentbased_always_on"`
	// SamplerArg is the share of a sampler with traceidratio, from 0 to 1;
	// empty: 1.
	SamplerArg string `env:"OTEL_TRACES_SAMPLER_ARG"`
}

const (
	exporterOTLP = "otlp"
	exporterNone = "none"
	protocolHTTP = "http/protobuf"
	compressGzip = "gzip"

	tracesPath = "/v1/traces"
	// maxMS bounds times, in milliseconds.
	maxMS = 600_000
)

// Enabled tells whether there are traces.
func (c Config) Enabled() bool { return !c.Disabled && c.Exporter == exporterOTLP }

// Validate names what is wrong with the settings, all of it. Headers are not
// shown.
func (c Config) Validate() error {
	if c.Exporter != exporterOTLP && c.Exporter != exporterNone && c.Exporter != "" {
		return fmt.Errorf("OTEL_TRACES_EXPORTER %q: want otlp or none", c.Exporter)
	}
	if !c.Enabled() {
		return nil
	}
	_, _, sampler := c.sampler()
	_, resource := pairs(c.ResourceAttributes)
	if resource != nil {
		resource = fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", resource)
	}
	return errors.Join(
		endpoint("OTEL_EXPORTER_OTLP_ENDPOINT", c.Endpoint), endpoint("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", c.TracesEndpoint),
		headers("OTEL_EXPORTER_OTLP_HEADERS", c.Headers), headers("OTEL_EXPORTER_OTLP_TRACES_HEADERS", c.TracesHeaders),
		c.validProtocol(), c.validCompression(), c.validCertificate(),
		milliseconds("OTEL_EXPORTER_OTLP_TIMEOUT", c.TimeoutMS), milliseconds("OTEL_BSP_SCHEDULE_DELAY", c.DelayMS),
		resource, sampler,
	)
}

// endpoint checks a URL. It is not shown: what is wrong may be a password in it.
func endpoint(name, raw string) error {
	if raw == "" {
		return nil
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%s: want http or https with a host, without user, query and fragment (headers carry credentials)", name)
	}
	return nil
}

// URL is where traces are sent. It holds no secret.
func (c Config) URL() string {
	if c.TracesEndpoint != "" {
		return c.TracesEndpoint
	}
	return strings.TrimRight(c.Endpoint, "/") + tracesPath
}

func headers(name, list string) error {
	all, err := pairs(list)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for header, value := range all {
		if !isToken(header) || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return fmt.Errorf("%s: want names and values that an HTTP header may have", name)
		}
	}
	return nil
}

// isToken tells whether a text may name a header (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

// headers are what is sent with each request.
func (c Config) headers() map[string]string {
	list := c.Headers
	if c.TracesHeaders != "" {
		list = c.TracesHeaders
	}
	all, _ := pairs(list) // Validate has read it
	return all
}

var errPairs = errors.New("want name=value,name=value with values in percent-encoding")

// pairs reads name=value,name=value. Its error shows nothing of it.
func pairs(list string) (map[string]string, error) {
	all := map[string]string{}
	for pair := range strings.SplitSeq(list, ",") {
		if pair = strings.TrimSpace(pair); pair == "" {
			continue
		}
		name, encoded, found := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(encoded))
		if name = strings.TrimSpace(name); !found || name == "" || err != nil {
			return nil, errPairs
		}
		all[name] = value
	}
	return all, nil
}

// validProtocol checks the protocol in force: the general one may be meant for
// other programs.
func (c Config) validProtocol() error {
	name, value := "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", c.TracesProtocol
	if value == "" {
		name, value = "OTEL_EXPORTER_OTLP_PROTOCOL", c.Protocol
	}
	if value != "" && value != protocolHTTP {
		return fmt.Errorf("%s %q: want %s", name, value, protocolHTTP)
	}
	return nil
}

func (c Config) validCompression() error {
	if c.Compression != "" && c.Compression != "none" && c.Compression != compressGzip {
		return fmt.Errorf("OTEL_EXPORTER_OTLP_COMPRESSION %q: want gzip or none", c.Compression)
	}
	return nil
}

func (c Config) validCertificate() error {
	_, err := c.authorities()
	return err
}

// authorities are who the collector's certificate is checked with; nil: those
// of the system.
func (c Config) authorities() (*x509.CertPool, error) {
	if c.Certificate == "" {
		return nil, nil //nolint:nilnil // as tls.Config has it
	}
	pem, err := os.ReadFile(c.Certificate)
	if err != nil {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_CERTIFICATE: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_CERTIFICATE %q: want a PEM file with a certificate", c.Certificate)
	}
	return pool, nil
}

func milliseconds(name string, ms int) error {
	if ms < 1 || ms > maxMS {
		return fmt.Errorf("%s %d: want milliseconds, 1 to %d", name, ms, maxMS)
	}
	return nil
}

func (c Config) timeout() time.Duration { return time.Duration(c.TimeoutMS) * time.Millisecond }
func (c Config) delay() time.Duration   { return time.Duration(c.DelayMS) * time.Millisecond }

const samplers = "always_on, always_off or traceidratio, or one of these with parentbased_ before it"

// sampler is the kind of sampler, whether it goes by the parent, and what is
// wrong with it.
func (c Config) sampler() (share float64, byParent bool, err error) {
	kind, byParent := strings.CutPrefix(c.Sampler, "parentbased_")
	switch kind {
	case "":
		if byParent {
			break
		}
		return 1, true, nil // the default
	case "always_on":
		return 1, byParent, nil
	case "always_off":
		return 0, byParent, nil
	case "traceidratio":
		share, err = c.share()
		return share, byParent, err
	}
	return 0, false, fmt.Errorf("OTEL_TRACES_SAMPLER %q: want %s", c.Sampler, samplers)
}

// share reads SamplerArg.
func (c Config) share() (float64, error) {
	if c.SamplerArg == "" {
		return 1, nil
	}
	share, err := strconv.ParseFloat(c.SamplerArg, 64)
	if err != nil || !(share >= 0 && share <= 1) { // so that not-a-number is out
		return 0, fmt.Errorf("OTEL_TRACES_SAMPLER_ARG %q: want a number from 0 to 1", c.SamplerArg)
	}
	return share, nil
}
