package auth

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/tracing"
)

// HTTPConfig holds the settings of an auth service, and of calls over HTTP.
type HTTPConfig struct {
	// ServiceURL is what the paths below are added to.
	ServiceURL string `env:"AUTH_SERVICE_URL"`
	// Where and how the service verifies and refreshes tokens and tells of
	// users: with POST the token is sent as {"token": …}, with GET as a bearer.
	VerifyMethod   string `env:"AUTH_VERIFY_METHOD" envDefault:"POST"`
	VerifyPath     string `env:"AUTH_VERIFY_PATH" envDefault:"/api/v1/auth/verify"`
	RefreshMethod  string `env:"AUTH_REFRESH_METHOD" envDefault:"POST"`
	RefreshPath    string `env:"AUTH_REFRESH_PATH" envDefault:"/api/v1/auth/refresh"`
	UserInfoMethod string `env:"AUTH_USERINFO_METHOD" envDefault:"GET"`
	UserInfoPath   string `env:"AUTH_USERINFO_PATH" envDefault:"/api/v1/auth/userinfo"`
	// AuthorizePath is where rooms are asked about.
	AuthorizePath string `env:"AUTH_AUTHORIZE_PATH" envDefault:"/api/v1/auth/authorize"`
	// HealthPath is asked whether the service is there.
	HealthPath string `env:"AUTH_HEALTH_PATH" envDefault:"/health"`
	// GrantTTL is how long a grant of a room holds that names no end.
	GrantTTL time.Duration `env:"AUTH_GRANT_TTL" envDefault:"5m"`

	// Timeout bounds one call, MaxConcurrent calls at once, MaxResponseBytes an
	// answer.
	Timeout          time.Duration `env:"AUTH_TIMEOUT" envDefault:"5s"`
	MaxConcurrent    int           `env:"AUTH_MAX_CONCURRENT" envDefault:"64"`
	MaxResponseBytes int           `env:"AUTH_MAX_RESPONSE_BYTES" envDefault:"65536"`

	// CacheTTL and CacheRejectedTTL are how long accepted and rejected tokens
	// are not asked about again; 0: not at all. CacheBytes bounds the memory of
	// either.
	CacheTTL         time.Duration `env:"AUTH_CACHE_TTL" envDefault:"10s"`
	CacheRejectedTTL time.Duration `env:"AUTH_CACHE_REJECTED_TTL" envDefault:"5s"`
	CacheBytes       int           `env:"AUTH_CACHE_BYTES" envDefault:"16777216"`

	// Dial connects to the service, not a setting; nil: over the network.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Tracer makes spans of calls, not a setting; nil: none.
	Tracer *tracing.Tracer
}

// dial is Dial or what stands for it.
func (c HTTPConfig) dial() func(ctx context.Context, network, address string) (net.Conn, error) {
	if c.Dial != nil {
		return c.Dial
	}
	return (&net.Dialer{Timeout: c.Timeout}).DialContext
}

func (c HTTPConfig) validate() []error {
	var faults []error
	if c.ServiceURL == "" {
		faults = append(faults, errors.New("AUTH_SERVICE_URL is unset: AUTH_MODE=http needs it"))
	} else {
		faults = append(faults, address("AUTH_SERVICE_URL", c.ServiceURL)...)
	}
	for name, method := range map[string]string{
		"AUTH_VERIFY_METHOD": c.VerifyMethod, "AUTH_REFRESH_METHOD": c.RefreshMethod, "AUTH_USERINFO_METHOD": c.UserInfoMethod,
	} {
		if method != http.MethodGet && method != http.MethodPost {
			faults = append(faults, fmt.Errorf("%s %q: want GET or POST", name, method))
		}
	}
	for name, path := range map[string]string{
		"AUTH_VERIFY_PATH": c.VerifyPath, "AUTH_REFRESH_PATH": c.RefreshPath, "AUTH_USERINFO_PATH": c.UserInfoPath,
		"AUTH_AUTHORIZE_PATH": c.AuthorizePath, "AUTH_HEALTH_PATH": c.HealthPath,
	} {
		if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "?#") {
			faults = append(faults, fmt.Errorf("%s %q: want a path that begins with /", name, path))
		}
	}
	for _, more := range [][]error{
		c.validateCalls(),
		positive("AUTH_GRANT_TTL", c.GrantTTL), positive("AUTH_CACHE_BYTES", c.CacheBytes),
		notNegative("AUTH_CACHE_TTL", c.CacheTTL), notNegative("AUTH_CACHE_REJECTED_TTL", c.CacheRejectedTTL),
	} {
		faults = append(faults, more...)
	}
	return faults
}

// validateCalls checks what holds for any call.
func (c HTTPConfig) validateCalls() []error {
	faults := positive("AUTH_TIMEOUT", c.Timeout)
	faults = append(faults, positive("AUTH_MAX_CONCURRENT", c.MaxConcurrent)...)
	return append(faults, positive("AUTH_MAX_RESPONSE_BYTES", c.MaxResponseBytes)...)
}
