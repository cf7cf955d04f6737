package e2e

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// A token that shows up anywhere outside the call to the auth service has
// leaked; an admin key likewise.
const (
	canary   = "canary7f3a9c51e2"
	adminKey = "canarykey0c4d8e6b"
)

// echo is an auth service whose answers repeat what they were asked, as error
// pages do.
func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	switch asked := string(body) + r.Header.Get("Authorization"); {
	case strings.Contains(asked, canary+"-ok"):
		_, _ = io.WriteString(w, `{"user":{"id":"ann"},"expiresIn":3600}`)
	case strings.Contains(asked, canary+"-bad"):
		http.Error(w, "no such token: "+asked, http.StatusUnauthorized)
	case strings.Contains(asked, canary+"-down"):
		http.Error(w, "failed on "+asked, http.StatusInternalServerError)
	case strings.Contains(asked, canary+"-elsewhere"):
		http.Redirect(w, r, "/?token="+canary, http.StatusFound)
	default:
		_, _ = fmt.Fprintf(w, "garbage %s", asked)
	}
}

// listener collects everything that the outside can see.
type listener struct {
	t    *testing.T
	g    *gatewayProcess
	seen strings.Builder
}

func (l *listener) get(method, url, key, body string) {
	l.t.Helper()
	req, err := http.NewRequestWithContext(l.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		l.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := (&http.Client{Timeout: patience}).Do(req)
	if err != nil {
		l.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	fmt.Fprintf(&l.seen, "%s %d %v %s\n", method, resp.StatusCode, resp.Header, b)
}

// connect presents a token in one way and reads until the end, or a while.
func (l *listener) connect(token, way string) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), 300*time.Millisecond)
	defer cancel()
	url, opts := l.g.ports.socket(), &websocket.DialOptions{HTTPHeader: http.Header{}, Subprotocols: []string{"gateway.v1"}}
	switch way {
	case "header":
		opts.HTTPHeader.Set("Authorization", "Bearer "+token)
	case "another scheme":
		opts.HTTPHeader.Set("Authorization", "Token "+token)
	case "subprotocol":
		opts.Subprotocols = append(opts.Subprotocols, "gateway.v1.bearer."+base64.RawURLEncoding.EncodeToString([]byte(token)))
	case "broken subprotocol":
		opts.Subprotocols = []string{"gateway.v1.bearer." + token + "=="}
	case "query":
		url += "?token=" + token
	case "broken query":
		url += "?token=" + token + "%zz"
	}
	ws, resp, err := websocket.Dial(ctx, url, opts)
	if err != nil {
		fmt.Fprintf(&l.seen, "%v %+v\n", err, resp)
		return
	}
	defer func() { _ = ws.CloseNow() }()
	if way == "message" {
		_ = ws.Write(ctx, websocket.MessageText, fmt.Appendf(nil, `{"event":"authenticate","id":1,"data":{"token":%q}}`, token))
		_ = ws.Write(ctx, websocket.MessageText, fmt.Appendf(nil, `{"event":"authenticate","id":2,"data":{"token":%q,"tok":1}}`, token))
		_ = ws.Write(ctx, websocket.MessageText, fmt.Appendf(nil, `{"event":"authenticate","data":{"token":[%q`, token))
	}
	for {
		_, b, err := ws.Read(ctx)
		fmt.Fprintf(&l.seen, "%s %v\n", b, err)
		if err != nil {
			return
		}
	}
}

func TestNoTokenAndNoKeyEverShowsUp(t *testing.T) {
	service := httptest.NewServer(http.HandlerFunc(echo))
	defer service.Close()
	g := serve(t, freePorts(t), "AUTH_SERVICE_URL="+service.URL, "LOG_LEVEL=debug", "ADMIN_API_KEYS="+adminKey, "AUTH_CACHE_TTL=0s")
	l := &listener{t: t, g: g}
	for _, kind := range []string{"ok", "bad", "down", "elsewhere", "garbage"} {
		for _, way := range []string{
			"header", "another scheme", "subprotocol", "broken subprotocol", "query", "broken query", "message",
		} {
			l.connect(canary+"-"+kind, way)
		}
	}
	admin, public := strings.TrimSuffix(g.ports.page(), "/"), strings.TrimSuffix(g.ports.ready(), "/health/ready")
	l.get(http.MethodPost, admin+"/api/v1/revoke", adminKey, `{"token":"`+canary+`-ok"}`)
	l.get(http.MethodPost, admin+"/api/v1/revoke", adminKey, `{"token":"`+canary+`-ok","x":1}`)
	l.get(http.MethodPost, admin+"/api/v1/revoke", canary, `{"token":"`+canary+`"}`)
	l.get(http.MethodGet, public+"/ws?token="+canary, "", "")
	l.get(http.MethodGet, public+"/nothing?token="+canary, canary, "")
	for _, path := range []string{"/metrics", "/health", "/debug/performance", "/api/v1/users/ann/connections", "/api/v1/counts", "/debug/pprof/cmdline"} {
		l.get(http.MethodGet, admin+path, adminKey, "")
	}
	shown := command(t, g.ports.env("AUTH_SERVICE_URL="+service.URL, "ADMIN_API_KEYS="+adminKey), "config")
	g.term()
	if code := g.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if !strings.Contains(l.seen.String(), `"event":"connected"`) || !strings.Contains(l.seen.String(), `"unavailable"`) {
		t.Error("the test saw no connection that succeeds, or none that cannot be checked")
	}
	for where, text := range map[string]string{"an answer": l.seen.String(), "the log": g.log.String(), "gateway config": shown.stdout + shown.stderr} {
		for what, secret := range map[string]string{
			"token": canary, "key": adminKey, "token in base64": base64.RawURLEncoding.EncodeToString([]byte(canary))[:18],
		} {
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("the %s stands in %s: …%s…", what, where, text[max(0, i-200):min(len(text), i+60)])
			}
		}
	}
}
