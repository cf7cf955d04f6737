package gateway

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"github.com/moonx-farm/ws-gateway/internal/codec/jsonv1"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// bearerPrefix begins the subprotocol that carries a token: browsers can set
// no header on a WebSocket.
const bearerPrefix = jsonv1.Subprotocol + ".bearer."

// MaxToken is the longest credential in bytes.
const MaxToken = 8 << 10

var (
	errTwoTokens  = wire.NewError(wire.Unauthenticated, "more than one credential was presented")
	errScheme     = wire.NewError(wire.Unauthenticated, "Authorization wants: Bearer and a token")
	errProtocol   = wire.NewError(wire.Unauthenticated, "the subprotocol gateway.v1.bearer. ends with the token in base64url, without padding")
	errQueryToken = wire.NewError(wire.Unauthenticated, "this gateway takes no token in the URL: use a header, the subprotocol or the first message")
	errTokenSize  = wire.NewError(wire.Unauthenticated, "the credential is longer than 8192 bytes")
	errNoToken    = wire.NewError(wire.Unauthenticated, "the credential is empty")
)

// presented is what a request says of its client.
type presented struct {
	token string
	found int    // credentials
	since []byte // raw JSON of resume positions, nil without
	fault *wire.Error
}

func (p *presented) take(token string, fault *wire.Error) {
	p.found++
	switch {
	case p.fault != nil:
	case fault != nil:
		p.fault = fault
	case p.found > 1:
		p.fault = errTwoTokens
	case token == "":
		p.fault = errNoToken
	case len(token) > MaxToken:
		p.fault = errTokenSize
	}
	p.token = token
}

// present reads the credentials of a request.
func present(r *http.Request, queryToken bool) presented {
	var p presented
	for _, h := range r.Header["Authorization"] {
		scheme, token, ok := strings.Cut(h, " ")
		if !ok || !strings.EqualFold(scheme, "Bearer") {
			p.take("", errScheme)
			continue
		}
		p.take(strings.TrimSpace(token), nil)
	}
	for _, proto := range subprotocols(r) {
		if encoded, ok := strings.CutPrefix(proto, bearerPrefix); ok {
			token, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
			if err != nil {
				p.take("", errProtocol)
				continue
			}
			p.take(string(token), nil)
		}
	}
	if r.URL.RawQuery != "" {
		p.query(r.URL.RawQuery, queryToken)
	}
	return p
}

// query reads ?token= and ?since=. A query that does not parse could hide a
// token: it is none that is accepted.
func (p *presented) query(raw string, allowed bool) {
	q, err := url.ParseQuery(raw)
	if err != nil {
		p.take("", wire.NewError(wire.Unauthenticated, "the URL's query is malformed"))
		return
	}
	for _, token := range q["token"] {
		if !allowed {
			p.take("", errQueryToken)
			continue
		}
		p.take(token, nil)
	}
	if since := q.Get("since"); since != "" {
		p.since = []byte(since)
	}
}

// subprotocols are the names a client offers, in its order.
func subprotocols(r *http.Request) []string {
	var names []string
	for _, h := range r.Header["Sec-Websocket-Protocol"] {
		for name := range strings.SplitSeq(h, ",") {
			if name = strings.TrimSpace(name); name != "" {
				names = append(names, name)
			}
		}
	}
	return names
}

// selectProtocol returns the subprotocol to answer with, "" if the client
// offered none; false if it offered only others.
func selectProtocol(r *http.Request) (string, bool) {
	offered := subprotocols(r)
	for _, name := range offered {
		if name == jsonv1.Subprotocol {
			return name, true
		}
	}
	return "", len(offered) == 0
}
