package auth

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// The values of AUTH_MODE.
const (
	// ModeHTTP asks an auth service.
	ModeHTTP = "http"
	// ModeJWT checks the signatures of JSON Web Tokens.
	ModeJWT = "jwt"
	// ModeDevelopment takes credentials as user ids.
	ModeDevelopment = "development"
)

// Config holds the settings of authentication.
type Config struct {
	// Mode is http, jwt or development; empty: http if an auth service is named,
	// jwt if keys are, else development for loopback peers only. When it is
	// asked for, development serves its identities to anybody who can connect.
	Mode string `env:"AUTH_MODE"`
	// Claims names the fields of a user that are kept for upstreams; empty: all.
	Claims []string `env:"AUTH_CLAIMS"`

	HTTP HTTPConfig
	JWT  JWTConfig
}

// Validate names everything that is wrong with the settings, joined.
func (c Config) Validate() error {
	var faults []error
	if c.Mode == "" && c.HTTP.ServiceURL != "" && c.JWT.keys() > 0 {
		faults = append(faults, errors.New("AUTH_MODE is unset, but both AUTH_SERVICE_URL and keys for AUTH_JWT are given: want http or jwt"))
	}
	switch c.mode() {
	case ModeHTTP:
		faults = append(faults, c.HTTP.validate()...)
	case ModeJWT:
		faults = append(faults, c.JWT.validate()...)
		faults = append(faults, c.HTTP.validateCalls()...)
	case "", ModeDevelopment:
	default:
		return fmt.Errorf("AUTH_MODE %q: want http, jwt or development, or leave it unset", c.Mode)
	}
	return errors.Join(append(faults, c.idle()...)...)
}

// idle names settings that the mode makes nothing of. Whoever names an auth
// service, or restricts tokens, wants nobody in without it.
func (c Config) idle() []error {
	mode := c.mode()
	var faults []error
	switch {
	case c.Mode == "":
	case mode != ModeHTTP && c.HTTP.ServiceURL != "":
		faults = append(faults, fmt.Errorf("AUTH_SERVICE_URL is set, but AUTH_MODE=%s does not ask it: unset one of them", mode))
	case mode != ModeJWT && c.JWT.keys() > 0:
		faults = append(faults, fmt.Errorf("AUTH_JWT keys are set, but AUTH_MODE=%s does not use them: unset one of them", mode))
	}
	if mode != ModeJWT && c.JWT.keys() == 0 && c.JWT.restricts() {
		faults = append(faults, errors.New("AUTH_JWT settings without a key: want AUTH_JWT_SECRET or AUTH_JWT_JWKS_URL"))
	}
	return faults
}

// mode is the mode in force; empty: development on loopback.
func (c Config) mode() string {
	switch {
	case c.Mode != "":
		return c.Mode
	case c.HTTP.ServiceURL != "":
		return ModeHTTP
	case c.JWT.keys() > 0:
		return ModeJWT
	}
	return ""
}

// UsesService tells whether an auth service is asked.
func (c Config) UsesService() bool { return c.mode() == ModeHTTP }

// UsesJWT tells whether the gateway checks signatures itself.
func (c Config) UsesJWT() bool { return c.mode() == ModeJWT }

// Authorizes tells whether there is somebody to ask about rooms.
func (c Config) Authorizes() bool { return c.UsesService() && c.HTTP.AuthorizePath != "" }

// LoopbackOnly tells whether development identities are for loopback peers
// alone: nobody has asked to serve them to others.
func (c Config) LoopbackOnly() bool { return c.mode() == "" }

// Development tells whether development identities are served at all.
func (c Config) Development() bool { return c.mode() == "" || c.mode() == ModeDevelopment }

// positive names durations and numbers that are zero or less.
func positive[T ~int | ~int64](name string, value T) []error {
	if value > 0 {
		return nil
	}
	return []error{fmt.Errorf("%s %v: want more than 0", name, value)}
}

// notNegative is positive that takes zero.
func notNegative(name string, value time.Duration) []error {
	if value >= 0 {
		return nil
	}
	return []error{fmt.Errorf("%s %v: want 0 or more", name, value)}
}

// address checks the URL of a service. It may hold no credential: URLs are
// printed.
func address(name, text string) []error {
	u, err := url.Parse(text)
	switch {
	case err != nil: // it quotes the URL
		return []error{fmt.Errorf("%s: want an http or https URL", name)}
	case u.User != nil, u.RawQuery != "" && strings.HasPrefix(name, "AUTH_SERVICE"), u.Fragment != "":
		return []error{fmt.Errorf("%s: want a URL without user, query or fragment", name)}
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return []error{fmt.Errorf("%s %q: want an http or https URL", name, text)}
	}
	return nil
}
