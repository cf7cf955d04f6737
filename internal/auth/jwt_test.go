package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

const hmacKey = "0123456789abcdef0123456789abcdef"

// sign makes a token; kid is left out when empty.
func sign(t *testing.T, method jwt.SigningMethod, key any, kid string, claims jwt.MapClaims, more ...string) string {
	t.Helper()
	token := jwt.NewWithClaims(method, claims)
	if kid != "" {
		token.Header["kid"] = kid
	}
	for _, name := range more {
		token.Header[name] = []string{name}
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func verifier(t *testing.T, environ map[string]string) *JWT {
	t.Helper()
	v := NewJWT(settings(t, environ), zap.NewNop())
	t.Cleanup(v.Close)
	return v
}

func TestATokenWithASecretIsVerified(t *testing.T) {
	now := time.Now()
	soon := now.Add(time.Hour).Truncate(time.Second)
	good := func(with jwt.MapClaims) jwt.MapClaims {
		c := jwt.MapClaims{"sub": "ann", "iss": "https://id", "aud": []string{"gateway", "shop"}, "exp": soon.Unix()}
		for name, value := range with {
			if value == nil {
				delete(c, name)
			} else {
				c[name] = value
			}
		}
		return c
	}
	hs := func(c jwt.MapClaims) string { return sign(t, jwt.SigningMethodHS256, []byte(hmacKey), "", c) }
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		token string
		user  string // "": refused
		end   time.Time
	}{
		"a good one":            {hs(good(nil)), "ann", soon},
		"a number as user":      {hs(good(jwt.MapClaims{"sub": 42})), "42", soon},
		"no end":                {hs(good(jwt.MapClaims{"exp": nil})), "ann", time.Time{}},
		"an end within leeway":  {hs(good(jwt.MapClaims{"exp": now.Add(-3 * time.Second).Unix()})), "ann", now.Add(-3 * time.Second).Truncate(time.Second).Add(30 * time.Second)},
		"an end beyond leeway":  {hs(good(jwt.MapClaims{"exp": now.Add(-time.Minute).Unix()})), "", time.Time{}},
		"a start within leeway": {hs(good(jwt.MapClaims{"nbf": now.Add(3 * time.Second).Unix()})), "ann", soon},
		"a start to come":       {hs(good(jwt.MapClaims{"nbf": now.Add(time.Minute).Unix()})), "", time.Time{}},
		"another issuer":        {hs(good(jwt.MapClaims{"iss": "https://evil"})), "", time.Time{}},
		"no issuer":             {hs(good(jwt.MapClaims{"iss": nil})), "", time.Time{}},
		"another audience":      {hs(good(jwt.MapClaims{"aud": "chat"})), "", time.Time{}},
		"no audience":           {hs(good(jwt.MapClaims{"aud": nil})), "", time.Time{}},
		"one audience":          {hs(good(jwt.MapClaims{"aud": "gateway"})), "ann", soon},
		"no user":               {hs(good(jwt.MapClaims{"sub": nil})), "", time.Time{}},
		"a guest":               {hs(good(jwt.MapClaims{"sub": "guest-x"})), "", time.Time{}},
		"an end that is a text": {hs(good(jwt.MapClaims{"exp": "tomorrow"})), "", time.Time{}},
		"another secret":        {sign(t, jwt.SigningMethodHS256, []byte(strings.Repeat("x", 32)), "", good(nil)), "", time.Time{}},
		"another hash":          {sign(t, jwt.SigningMethodHS512, []byte(hmacKey), "", good(nil)), "", time.Time{}},
		"no signature":          {sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "", good(nil)), "", time.Time{}},
		"a public key's":        {sign(t, jwt.SigningMethodRS256, rsaKey, "", good(nil)), "", time.Time{}},
		"a critical extension":  {sign(t, jwt.SigningMethodHS256, []byte(hmacKey), "", good(nil), "crit"), "", time.Time{}},
		"text":                  {canary, "", time.Time{}},
		"dots":                  {"..", "", time.Time{}},
		"another payload":       {splice(hs(good(nil)), hs(good(jwt.MapClaims{"sub": "eve"}))), "", time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			v := verifier(t, map[string]string{
				"AUTH_JWT_SECRET": hmacKey, "AUTH_JWT_ISSUER": "https://id", "AUTH_JWT_AUDIENCE": "gateway", "AUTH_JWT_LEEWAY": "30s",
			})
			id, err := v.Verify(t.Context(), c.token, netip.Addr{})
			if c.user == "" {
				if !wire.IsCode(err, wire.Unauthenticated) || strings.Contains(err.Error(), canary) || v.Stats().Rejected != 1 {
					t.Fatalf("got %+v, %v, %+v", id, err, v.Stats())
				}
				return
			}
			if err != nil || id.UserID != c.user || id.Token != NameOf(c.token) || !id.ExpiresAt.Equal(c.end) || v.Stats().Accepted != 1 {
				t.Fatalf("got %+v, %v, %+v", id, err, v.Stats())
			}
		})
	}
}

func TestAnotherSpellingOfATokenHasItsName(t *testing.T) {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	v := verifier(t, map[string]string{"AUTH_JWT_SECRET": hmacKey})
	token := sign(t, jwt.SigningMethodHS256, []byte(hmacKey), "", jwt.MapClaims{"sub": "ann"})
	accepted := 0
	for _, letter := range letters { // the last one has two bits to spare
		id, err := v.Verify(t.Context(), token[:len(token)-1]+string(letter), netip.Addr{})
		if err != nil {
			continue
		}
		if accepted++; id.Token != NameOf(token) {
			t.Errorf("with %c at its end it has another name", letter)
		}
	}
	if accepted == 0 {
		t.Error("the token itself is not accepted")
	}
	t.Log(accepted, "spellings are accepted")
}

// splice puts the payload of one token between the rest of another.
func splice(head, payload string) string {
	h, p := strings.Split(head, "."), strings.Split(payload, ".")
	return h[0] + "." + p[1] + "." + h[2]
}

func TestTheNamesOfClaimsAreConfigured(t *testing.T) {
	v := verifier(t, map[string]string{
		"AUTH_JWT_SECRET": hmacKey, "AUTH_JWT_USER_CLAIM": "https://shop/uid", "AUTH_JWT_EXPIRY_CLAIM": "until",
		"AUTH_JWT_ID_CLAIM": "tid", "AUTH_CLAIMS": "role",
	})
	token := sign(t, jwt.SigningMethodHS256, []byte(hmacKey), "", jwt.MapClaims{
		"sub": "x", "https://shop/uid": "ann", "until": 4_000_000_000, "tid": "t1", "role": "admin",
	})
	id, err := v.Verify(t.Context(), token, netip.Addr{})
	if err != nil || id.UserID != "ann" || id.ExpiresAt.Unix() != 4_000_000_000 || id.TokenID != "t1" || string(id.Claims) != `{"role":"admin"}` {
		t.Errorf("got %+v, %v", id, err)
	}
}

// pair is a key of a set.
type pair struct {
	method  jwt.SigningMethod
	private crypto.Signer
}

func pairs(t *testing.T) map[string]pair {
	t.Helper()
	r, err1 := rsa.GenerateKey(rand.Reader, 2048)
	e, err2 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, d, err3 := ed25519.GenerateKey(rand.Reader)
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}
	return map[string]pair{
		"r": {jwt.SigningMethodRS256, r}, "e": {jwt.SigningMethodES256, e}, "d": {jwt.SigningMethodEdDSA, d},
	}
}

// setOf is the JSON of a set with public keys.
func setOf(t *testing.T, all map[string]pair, names ...string) string {
	t.Helper()
	var keys []json.RawMessage
	for _, name := range names {
		jwk, err := jwkset.NewJWKFromKey(all[name].private.Public(), jwkset.JWKOptions{
			Metadata: jwkset.JWKMetadataOptions{KID: name, ALG: jwkset.ALG(all[name].method.Alg()), USE: jwkset.UseSig},
		})
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(jwk.Marshal())
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, b)
	}
	b, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// keyRig is a verifier whose keys come from a handler in memory.
type keyRig struct {
	t     *testing.T
	pairs map[string]pair
	says  atomic.Pointer[http.HandlerFunc]
	asked atomic.Int64
	logs  *observer.ObservedLogs
	*JWT
}

// inBubble runs f with a verifier, and synthetic time.
func inBubble(t *testing.T, all map[string]pair, f func(*keyRig), names ...string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &keyRig{t: t, pairs: all}
		r.serve(names...)
		l := &listener{conns: make(chan net.Conn), done: make(chan struct{})}
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			r.asked.Add(1)
			(*r.says.Load())(w, req)
		})}
		var wg sync.WaitGroup
		wg.Go(func() { _ = s.Serve(l) })
		cfg := settings(t, map[string]string{"AUTH_JWT_JWKS_URL": "http://id/jwks"})
		cfg.HTTP.Dial = l.dial
		core, logs := observer.New(zapcore.DebugLevel)
		r.logs, r.JWT = logs, NewJWT(cfg, zap.New(core))
		defer func() {
			r.Close()
			_ = s.Shutdown(context.Background())
			wg.Wait()
		}()
		f(r)
	})
}

func (r *keyRig) say(h http.HandlerFunc)   { r.says.Store(&h) }
func (r *keyRig) serve(names ...string)    { r.say(answer(200, setOf(r.t, r.pairs, names...))) }
func (r *keyRig) token(name string) string { return r.tokenAs(name, name) }

func (r *keyRig) tokenAs(name, kid string) string {
	r.t.Helper()
	p := r.pairs[name]
	return sign(r.t, p.method, p.private, kid, jwt.MapClaims{"sub": "ann"})
}

func (r *keyRig) check(token string, code wire.Code, asked int64) {
	r.t.Helper()
	id, err := r.Verify(r.t.Context(), token, netip.Addr{})
	switch {
	case code == "" && (err != nil || id.UserID != "ann"):
		r.t.Fatalf("got %+v, %v", id, err)
	case code != "" && !wire.IsCode(err, code):
		r.t.Fatalf("got %+v, %v, want %s", id, err, code)
	}
	synctest.Wait() // for a fetch that nobody waits for
	if n := r.asked.Load(); n != asked {
		r.t.Fatalf("keys were asked for %d times, want %d", n, asked)
	}
}

func TestTokensOfPublicKeysAreVerifiedWithOneFetch(t *testing.T) {
	inBubble(t, pairs(t), func(r *keyRig) {
		r.Start()
		for name := range r.pairs {
			r.check(r.token(name), "", 1)
			r.check(r.tokenAs(name, ""), "", 1) // without a name every key that fits is tried
		}
		r.check(r.tokenAs("e", "d"), wire.Unauthenticated, 1) // fresh keys: not asked again
	}, "r", "e", "d")
}

func TestAPublicKeyIsNoSecret(t *testing.T) {
	inBubble(t, pairs(t), func(r *keyRig) {
		der, err := x509.MarshalPKIXPublicKey(r.pairs["r"].private.Public())
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range [][]byte{der, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})} {
			r.check(sign(r.t, jwt.SigningMethodHS256, secret, "r", jwt.MapClaims{"sub": "ann"}), wire.Unauthenticated, 0)
		}
		r.check(sign(r.t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "r", jwt.MapClaims{"sub": "ann"}), wire.Unauthenticated, 0)
	}, "r")
}

func TestANewKeyIsFetchedAtABoundedRate(t *testing.T) {
	inBubble(t, pairs(t), func(r *keyRig) {
		r.check(r.token("r"), "", 1)
		r.serve("r", "e")
		r.check(r.token("e"), wire.Unauthenticated, 1)
		time.Sleep(keysLeast)
		r.check(r.token("e"), "", 2)
		for i := range 100 { // names that nobody has
			r.check(r.tokenAs("e", fmt.Sprint("x", i)), wire.Unauthenticated, 2)
		}
		time.Sleep(keysLeast)
		for i := range 100 {
			r.check(r.tokenAs("e", fmt.Sprint("x", i)), wire.Unauthenticated, 3)
		}
	}, "r")
}

func TestAWithdrawnKeyIsForgotten(t *testing.T) {
	inBubble(t, pairs(t), func(r *keyRig) {
		r.check(r.token("r"), "", 1)
		r.serve("e")
		time.Sleep(keysEvery)
		r.check(r.token("r"), "", 2) // for the last time: it does not wait
		r.check(r.token("r"), wire.Unauthenticated, 2)
	}, "r")
}

func TestKeysThatCannotBeHadMakeNoTokenInvalid(t *testing.T) {
	all := pairs(t)
	for name, h := range silences() {
		inBubble(t, all, func(r *keyRig) {
			r.say(h)
			r.check(r.token("r"), wire.Unavailable, 1)
			r.check(r.token("r"), wire.Unavailable, 1) // the breaker
			if r.Degraded() == nil {
				t.Errorf("%s: it is not degraded", name)
			}
			r.serve("r")
			time.Sleep(keysLeast + time.Nanosecond)
			r.check(r.token("r"), "", 2)
			r.say(h)
			time.Sleep(keysEvery)
			r.check(r.token("r"), "", 3) // what is held holds
			r.check(r.token("r"), "", 3)
			r.check(r.token("e"), wire.Unavailable, 3) // it may be a new one
			if err := r.Degraded(); err == nil {
				t.Errorf("%s: it is not degraded", name)
			}
		}, "r")
	}
}

func TestKeysThatHangHoldUpOnlyTokensThatNeedThem(t *testing.T) {
	inBubble(t, pairs(t), func(r *keyRig) {
		r.check(r.token("r"), "", 1)
		done := make(chan struct{})
		r.say(func(_ http.ResponseWriter, req *http.Request) { <-done })
		time.Sleep(keysEvery)
		began := time.Now()
		r.check(r.token("r"), "", 2)
		r.check(r.token("r"), "", 2)
		if took := time.Since(began); took != 0 {
			t.Errorf("held up for %v", took)
		}
		r.check(r.token("e"), wire.Unavailable, 2)
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("gave up after %v", took)
		}
		close(done)
	}, "r")
}

func TestASetIsReadKeyByKey(t *testing.T) {
	all := pairs(t)
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal([]byte(setOf(t, all, "r", "e", "d")), &set); err != nil {
		t.Fatal(err)
	}
	enc := strings.Replace(string(set.Keys[0]), `"use":"sig"`, `"use":"enc"`, 1)
	for name, c := range map[string]struct {
		keys string
		want int // -1: garbage
	}{
		"all":                      {string(set.Keys[0]) + "," + string(set.Keys[1]) + "," + string(set.Keys[2]), 3},
		"one for encryption":       {enc + "," + string(set.Keys[1]), 1},
		"one for encryption alone": {enc, -1},
		"a broken one beside":      {`{"kty":"EC","crv":"P-256","x":"AA","y":"AA"},` + string(set.Keys[1]), 1},
		"no object beside":         {`7,` + string(set.Keys[1]), 1},
		"a secret":                 {`{"kty":"oct","k":"MDEyMzQ1Njc4OWFiY2RlZg"}`, -1},
		"an unknown kind":          {`{"kty":"XX"}`, -1},
		"none":                     {``, -1},
		"a key to sign with":       {strings.Replace(string(set.Keys[1]), `{`, `{"key_ops":["sign"],`, 1), -1},
		"a key to verify with":     {strings.Replace(string(set.Keys[1]), `{`, `{"key_ops":["verify"],`, 1), 1},
	} {
		got, err := keysOf([]byte(`{"keys":[` + c.keys + `]}`))
		if (err != nil) != (c.want < 0) || err == nil && len(got.all) != c.want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	many := strings.Repeat(string(set.Keys[1])+",", maxKeys) + string(set.Keys[1])
	if got, err := keysOf([]byte(`{"keys":[` + many + `]}`)); err != nil || len(got.all) != maxKeys {
		t.Errorf("%v", err)
	}
}

func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		`{"user":{"id":"ann"}}`, `{"data":{"user":{"id":1},"exp":1e9}}`, `{"user":{"id":"ann"},"expiresIn":9e99}`,
		`{"valid":false}`, `{"expiresAt":"2096-10-02T07:06:40Z"}`, `{"allowed":true}`, `{"exp":-1}`,
	} {
		f.Add(s, canary)
	}
	f.Add("{}", unsigned(`{"exp":1e300,"jti":"x"}`))
	cfg := Config{HTTP: HTTPConfig{MaxConcurrent: 1, GrantTTL: time.Minute}}
	s := NewService(cfg, zap.NewNop())
	f.Cleanup(s.Close)
	f.Fuzz(func(t *testing.T, body, token string) {
		id, err := s.identity([]byte(body), token)
		if err == nil && (!ValidUserID(id.UserID) || len(id.Claims) > MaxClaims || id.Claims != nil && !json.Valid(id.Claims)) {
			t.Errorf("took %+v", id)
		}
		if err == nil && !id.ExpiresAt.IsZero() && (id.ExpiresAt.Before(time.Now().Add(-time.Minute)) || id.ExpiresAt.Year() > 9999) {
			t.Errorf("ends at %v", id.ExpiresAt)
		}
		if g, err := (&Rooms{service: s}).grant([]byte(body)); err == nil && g.Allowed && g.Until.IsZero() {
			t.Errorf("an endless grant %+v", g)
		}
	})
}

func FuzzKeys(f *testing.F) {
	f.Add(`{"keys":[{"kty":"oct","k":"AA"},{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}`)
	f.Add(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`)
	f.Fuzz(func(t *testing.T, body string) {
		if k, err := keysOf([]byte(body)); err == nil && (len(k.all) == 0 || len(k.all) > maxKeys) {
			t.Errorf("%d keys", len(k.all))
		}
	})
}
