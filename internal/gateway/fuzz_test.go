package gateway

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// FuzzCredentials reads what anybody may write into a request: one credential
// at most comes of it, whole and within its bound, and no fault repeats it.
func FuzzCredentials(f *testing.F) {
	f.Add("Bearer ann", "gateway.v1", "")
	f.Add("", "gateway.v1, "+protocolOf("ann"), "since=%7B%7D")
	f.Add("Basic YTpi", "gateway.v1.bearer.YQ==", "token=ann&token=bob")
	f.Add("", "", "token=%zz;x")
	f.Fuzz(func(t *testing.T, authorization, protocols, query string) {
		r := &http.Request{Header: http.Header{}, URL: &url.URL{RawQuery: query}}
		if authorization != "" {
			r.Header["Authorization"] = []string{authorization}
		}
		if protocols != "" {
			r.Header["Sec-Websocket-Protocol"] = []string{protocols}
		}
		for _, allowed := range []bool{true, false} {
			p := present(r, allowed)
			switch {
			case p.fault == nil && p.found > 1:
				t.Fatalf("%d credentials were taken", p.found)
			case p.fault == nil && p.found == 1 && (p.token == "" || len(p.token) > MaxToken):
				t.Fatalf("a token of %d bytes was taken", len(p.token))
			case p.fault != nil && len(p.token) > 8 && strings.Contains(p.fault.Message, p.token):
				t.Fatalf("the fault repeats the token: %s", p.fault.Message)
			case !allowed && p.fault == nil && authorization == "" && !strings.Contains(protocols, bearerPrefix) && p.found > 0:
				t.Fatal("a token of the URL was taken where none may be")
			}
		}
		if name, ok := selectProtocol(r); name != "" && !ok {
			t.Fatal("a subprotocol was selected and refused")
		}
	})
}
