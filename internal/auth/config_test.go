package auth

import (
	"strings"
	"testing"
	"time"
)

func TestSettingsAreCheckedAndTheModeFollowsFromThem(t *testing.T) {
	const secret = "0123456789abcdef0123456789abcdef"
	for name, c := range map[string]struct {
		environ []string
		fault   string // "" for none
		mode    string
	}{
		"nothing":                         {nil, "", ""},
		"development":                     {[]string{"AUTH_MODE=development"}, "", ModeDevelopment},
		"a service":                       {[]string{"AUTH_SERVICE_URL=https://auth:8081/base"}, "", ModeHTTP},
		"a secret":                        {[]string{"AUTH_JWT_SECRET=" + secret}, "", ModeJWT},
		"a URL of keys":                   {[]string{"AUTH_JWT_JWKS_URL=https://id/jwks?v=1"}, "", ModeJWT},
		"an unknown mode":                 {[]string{"AUTH_MODE=oauth"}, "AUTH_MODE", "oauth"},
		"http without a service":          {[]string{"AUTH_MODE=http"}, "AUTH_SERVICE_URL is unset", ModeHTTP},
		"jwt without a key":               {[]string{"AUTH_MODE=jwt"}, "AUTH_JWT_SECRET or AUTH_JWT_JWKS_URL", ModeJWT},
		"both kinds of keys":              {[]string{"AUTH_JWT_SECRET=" + secret, "AUTH_JWT_JWKS_URL=https://id/jwks"}, "AUTH_JWT_SECRET or AUTH_JWT_JWKS_URL", ModeJWT},
		"a service and a key":             {[]string{"AUTH_SERVICE_URL=http://auth", "AUTH_JWT_SECRET=" + secret}, "AUTH_MODE is unset", ModeHTTP},
		"a key that http does not use":    {[]string{"AUTH_MODE=http", "AUTH_SERVICE_URL=http://auth", "AUTH_JWT_SECRET=" + secret}, "AUTH_JWT keys", ModeHTTP},
		"a service that jwt does not ask": {[]string{"AUTH_MODE=jwt", "AUTH_SERVICE_URL=http://auth", "AUTH_JWT_SECRET=" + secret}, "AUTH_SERVICE_URL is set", ModeJWT},
		"development beside a service":    {[]string{"AUTH_MODE=development", "AUTH_SERVICE_URL=http://auth"}, "AUTH_SERVICE_URL is set", ModeDevelopment},
		"an issuer without a key":         {[]string{"AUTH_JWT_ISSUER=https://id"}, "AUTH_JWT settings without a key", ""},
		"a short secret":                  {[]string{"AUTH_JWT_SECRET=" + secret[1:]}, "AUTH_JWT_SECRET: want at least 32 bytes", ModeJWT},
		"no algorithm at all":             {[]string{"AUTH_JWT_SECRET=" + secret, "AUTH_JWT_ALGORITHMS=none"}, `AUTH_JWT_ALGORITHMS "none"`, ModeJWT},
		"a secret for public keys":        {[]string{"AUTH_JWT_SECRET=" + secret, "AUTH_JWT_ALGORITHMS=RS256"}, `AUTH_JWT_ALGORITHMS "RS256"`, ModeJWT},
		"public keys as a secret":         {[]string{"AUTH_JWT_JWKS_URL=https://id/jwks", "AUTH_JWT_ALGORITHMS=ES256,HS256"}, `AUTH_JWT_ALGORITHMS "HS256"`, ModeJWT},
		"a negative leeway":               {[]string{"AUTH_JWT_SECRET=" + secret, "AUTH_JWT_LEEWAY=-1s"}, "AUTH_JWT_LEEWAY", ModeJWT},
		"a URL with a credential":         {[]string{"AUTH_SERVICE_URL=http://u:" + canary + "@auth"}, "AUTH_SERVICE_URL", ModeHTTP},
		"a URL that cannot be read":       {[]string{"AUTH_SERVICE_URL=http://" + canary + "\x7f"}, "AUTH_SERVICE_URL", ModeHTTP},
		"a URL with a query":              {[]string{"AUTH_SERVICE_URL=http://auth?a=b"}, "AUTH_SERVICE_URL", ModeHTTP},
		"another scheme":                  {[]string{"AUTH_SERVICE_URL=ftp://auth"}, "AUTH_SERVICE_URL", ModeHTTP},
		"another method":                  {[]string{"AUTH_SERVICE_URL=http://auth", "AUTH_VERIFY_METHOD=PUT"}, "AUTH_VERIFY_METHOD", ModeHTTP},
		"a path of another host":          {[]string{"AUTH_SERVICE_URL=http://auth", "AUTH_VERIFY_PATH=.evil/verify"}, "AUTH_VERIFY_PATH", ModeHTTP},
		"no calls at once":                {[]string{"AUTH_SERVICE_URL=http://auth", "AUTH_MAX_CONCURRENT=0"}, "AUTH_MAX_CONCURRENT", ModeHTTP},
		"no time":                         {[]string{"AUTH_SERVICE_URL=http://auth", "AUTH_TIMEOUT=0s"}, "AUTH_TIMEOUT", ModeHTTP},
		"answers of no size":              {[]string{"AUTH_SERVICE_URL=http://auth", "AUTH_MAX_RESPONSE_BYTES=0"}, "AUTH_MAX_RESPONSE_BYTES", ModeHTTP},
	} {
		t.Run(name, func(t *testing.T) {
			environ := map[string]string{}
			for _, entry := range c.environ {
				name, value, _ := strings.Cut(entry, "=")
				environ[name] = value
			}
			cfg := parse(t, environ)
			err := cfg.Validate()
			if c.fault == "" && err != nil || c.fault != "" && (err == nil || !strings.HasPrefix(err.Error(), c.fault)) {
				t.Errorf("got %v, want %q", err, c.fault)
			}
			if err != nil && (strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), "\n")) {
				t.Errorf("a secret, or several faults for one: %v", err)
			}
			if cfg.UsesService() != (c.mode == ModeHTTP) || cfg.UsesJWT() != (c.mode == ModeJWT) || cfg.Authorizes() != (c.mode == ModeHTTP) ||
				cfg.LoopbackOnly() != (c.mode == "") || cfg.Development() != (c.mode == "" || c.mode == ModeDevelopment) {
				t.Errorf("mode %q: %+v", c.mode, cfg)
			}
		})
	}
}

func TestACacheKeepsWithinItsBudget(t *testing.T) {
	const budget = 100 * keptBytes
	c := newCache(time.Hour, budget, func(s string) int { return len(s) })
	name := func(i int) Digest { return DigestOf(string(rune(i))) }
	for i := range 1000 {
		c.put(name(i), strings.Repeat("x", i%512), time.Time{})
		held := 0
		for _, generation := range []map[Digest]kept[string]{c.young, c.old} {
			for _, k := range generation {
				held += keptBytes + len(k.value)
			}
		}
		if held > budget {
			t.Fatalf("%d bytes are kept after %d", held, i)
		}
		if _, found := c.get(name(i)); !found {
			t.Fatalf("the last one is forgotten after %d", i)
		}
	}
	if _, found := c.get(name(0)); found {
		t.Error("the first one is still there")
	}
}
