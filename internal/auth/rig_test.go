package auth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// canary is a token that must stand in no log and no error.
const canary = "canary-5f1d0c2e7a"

func peer() netip.Addr { return netip.MustParseAddr("203.0.113.7") }

// settings are those of an environment.
func settings(t *testing.T, environ map[string]string) Config {
	t.Helper()
	c := parse(t, environ)
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	return c
}

// parse fills a Config as package config does.
func parse(t *testing.T, environ map[string]string) Config {
	t.Helper()
	var c Config
	var fill func(v reflect.Value)
	fill = func(v reflect.Value) {
		for i := range v.NumField() {
			name, tagged := v.Type().Field(i).Tag.Lookup("env")
			text, set := environ[name]
			if !set {
				text = v.Type().Field(i).Tag.Get("envDefault")
			}
			switch f := v.Field(i).Addr().Interface().(type) {
			case *HTTPConfig, *JWTConfig:
				fill(v.Field(i))
			case *string:
				*f = text
			case *[]string:
				*f = strings.FieldsFunc(text, func(r rune) bool { return r == ',' })
			case *int:
				*f, _ = strconv.Atoi(text)
			case *time.Duration:
				*f, _ = time.ParseDuration(text)
			default:
				if tagged {
					t.Fatalf("%s cannot be filled", name)
				}
			}
		}
	}
	fill(reflect.ValueOf(&c).Elem())
	return c
}

// rig is an auth service in a test, and its client.
type rig struct {
	t    *testing.T
	logs *observer.ObservedLogs
	*Service
}

// over makes the client of a handler that listens on a socket. Change the
// settings by pairs of name and value.
func over(t *testing.T, h http.HandlerFunc, pairs ...string) *rig {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return client4(t, s.URL, nil, pairs...)
}

// within makes the client of a handler in memory, for a bubble of synctest.
func within(t *testing.T, h http.HandlerFunc, pairs ...string) *rig {
	t.Helper()
	l := &listener{conns: make(chan net.Conn), done: make(chan struct{})}
	s := &http.Server{Handler: h}
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() {
		_ = s.Shutdown(context.Background()) // waits for handlers, as Close does not
		wg.Wait()
	})
	return client4(t, "http://auth", l.dial, pairs...)
}

func client4(t *testing.T, url string, dial func(context.Context, string, string) (net.Conn, error), pairs ...string) *rig {
	t.Helper()
	environ := map[string]string{"AUTH_SERVICE_URL": url}
	for i := 0; i < len(pairs); i += 2 {
		environ[pairs[i]] = pairs[i+1]
	}
	cfg := settings(t, environ)
	cfg.HTTP.Dial = dial
	core, logs := observer.New(zapcore.DebugLevel)
	r := &rig{t, logs, NewService(cfg, zap.New(core))}
	t.Cleanup(r.Close)
	return r
}

type listener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *listener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *listener) Addr() net.Addr { return &net.UnixAddr{Name: "memory"} }

// is says that a verification of the canary ends with a code; "" for success.
func (r *rig) is(code wire.Code) Identity {
	r.t.Helper()
	id, err := r.Verify(r.t.Context(), canary, peer())
	r.code(err, code)
	return id
}

func (r *rig) code(err error, code wire.Code) {
	r.t.Helper()
	if code == "" && err != nil || code != "" && !wire.IsCode(err, code) {
		r.t.Fatalf("got %v, want %q", err, code)
	}
	if err != nil && strings.Contains(err.Error(), canary) {
		r.t.Errorf("the error repeats the token: %v", err)
	}
}

// quiet says that no log holds the canary.
func (r *rig) quiet() {
	r.t.Helper()
	for _, e := range r.logs.All() {
		if line := fmt.Sprint(e.Message, e.ContextMap()); strings.Contains(line, canary) {
			r.t.Errorf("the log repeats the token: %s", line)
		}
	}
}

// tokenOf is the token that a request asks about.
func tokenOf(r *http.Request) string {
	if bearer, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); found {
		return bearer
	}
	var q struct{ Token string }
	_ = json.NewDecoder(r.Body).Decode(&q)
	return q.Token
}

// answer answers everything with one text.
func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// unsigned is a JSON Web Token with claims and no good signature.
func unsigned(claims string) string {
	e := base64.RawURLEncoding
	return e.EncodeToString([]byte(`{"alg":"none"}`)) + "." + e.EncodeToString([]byte(claims)) + ".x"
}
