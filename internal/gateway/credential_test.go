package gateway

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func protocolOf(token string) string {
	return bearerPrefix + base64.RawURLEncoding.EncodeToString([]byte(token))
}

func TestEveryWayToPresentACredential(t *testing.T) {
	big := strings.Repeat("x", MaxToken+1)
	for _, c := range []struct {
		name    string
		header  http.Header
		query   string
		refused bool // ?token= is not taken
		token   string
		fault   *wire.Error
	}{
		{name: "none", header: http.Header{}},
		{name: "header", header: http.Header{"Authorization": {"Bearer ann"}}, token: "ann"},
		{name: "header in another case", header: http.Header{"Authorization": {"bearer  ann "}}, token: "ann"},
		{name: "subprotocol", header: http.Header{"Sec-Websocket-Protocol": {"gateway.v1, " + protocolOf("ann:1")}}, token: "ann:1"},
		{name: "subprotocol in a header of its own", header: http.Header{"Sec-Websocket-Protocol": {"gateway.v1", protocolOf("ann")}}, token: "ann"},
		{name: "query", query: "token=ann%2B1", token: "ann+1"},
		{name: "query where the level refuses it", query: "token=ann", refused: true, fault: errQueryToken},
		{name: "another scheme", header: http.Header{"Authorization": {"Basic YTpi"}}, fault: errScheme},
		{name: "scheme alone", header: http.Header{"Authorization": {"Bearer"}}, fault: errScheme},
		{name: "empty header token", header: http.Header{"Authorization": {"Bearer "}}, fault: errNoToken},
		{name: "empty query token", query: "token=", fault: errNoToken},
		{name: "padded base64", header: http.Header{"Sec-Websocket-Protocol": {bearerPrefix + "YQ=="}}, fault: errProtocol},
		{name: "trailing bits", header: http.Header{"Sec-Websocket-Protocol": {bearerPrefix + "YR"}}, fault: errProtocol},
		{name: "too long", header: http.Header{"Authorization": {"Bearer " + big}}, fault: errTokenSize},
		{name: "two headers", header: http.Header{"Authorization": {"Bearer a", "Bearer a"}}, fault: errTwoTokens},
		{name: "header and query", header: http.Header{"Authorization": {"Bearer a"}}, query: "token=a", fault: errTwoTokens},
		{name: "header and subprotocol", header: http.Header{"Authorization": {"Bearer a"}, "Sec-Websocket-Protocol": {protocolOf("a")}}, fault: errTwoTokens},
		{name: "two in the query", query: "token=a&token=b", fault: errTwoTokens},
		{name: "two subprotocols", header: http.Header{"Sec-Websocket-Protocol": {protocolOf("a") + "," + protocolOf("b")}}, fault: errTwoTokens},
	} {
		r := &http.Request{Header: c.header, URL: &url.URL{RawQuery: c.query}}
		p := present(r, !c.refused)
		if p.fault != c.fault || c.fault == nil && (p.token != c.token || p.found > 1 || (p.found == 1) != (c.token != "")) {
			t.Errorf("%s: token %q, found %d, fault %v", c.name, p.token, p.found, p.fault)
		}
	}
}

func TestAMalformedQueryIsNoCredential(t *testing.T) {
	p := present(&http.Request{URL: &url.URL{RawQuery: "token=%zz"}}, true)
	if p.fault == nil || p.fault.Code != wire.Unauthenticated || strings.Contains(p.fault.Message, "zz") {
		t.Errorf("got %v", p.fault)
	}
}

func TestSincePositionsComeInTheQuery(t *testing.T) {
	p := present(&http.Request{URL: &url.URL{RawQuery: "since=" + url.QueryEscape(`{"user:ann":"x"}`)}}, false)
	if string(p.since) != `{"user:ann":"x"}` || p.found != 0 || p.fault != nil {
		t.Errorf("got %+v", p)
	}
}

func TestTheSubprotocolIsSelectedOrNone(t *testing.T) {
	for offer, want := range map[string]struct {
		name string
		ok   bool
	}{
		"":                                  {"", true},
		"gateway.v1":                        {"gateway.v1", true},
		"other, gateway.v1":                 {"gateway.v1", true},
		"gateway.v1," + protocolOf("token"): {"gateway.v1", true},
		protocolOf("token"):                 {"", false},
		"graphql-ws":                        {"", false},
	} {
		r := &http.Request{Header: http.Header{}}
		if offer != "" {
			r.Header.Set("Sec-WebSocket-Protocol", offer)
		}
		if name, ok := selectProtocol(r); name != want.name || ok != want.ok {
			t.Errorf("%q: %q, %v", offer, name, ok)
		}
	}
}
