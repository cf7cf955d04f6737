package gateway

import (
	"net/http"
	"strings"
)

// Screen decides whether a plain request of the public port, that pages of
// allowed origins may make too, is answered. If so, it sets what a browser needs
// to show the page the answer (CORS); else it refuses the request.
//
// A request without Origin is no browser's or comes from the gateway's own
// page: it passes at every level.
func (g *Gateway) Screen(w http.ResponseWriter, r *http.Request) bool {
	w.Header().Add("Vary", "Origin")
	from := g.proxies.client(r)
	origin := r.Header.Get("Origin")
	switch {
	case !g.hosts.allows(r.Host):
		g.turnAway(w, refusedHost)
	case g.level.TLSRequired && from.plain:
		g.turnAway(w, refusedInsecure)
	case g.parts.LoopbackOnly && !local(r):
		g.turnAway(w, refusedRemote)
	case origin != "" && !g.origins.allows(r):
		g.turnAway(w, refusedOrigin)
	default:
		if origin != "" {
			w.Header().Set("Access-Control-Allow-Origin", origin)
		}
		return true
	}
	return false
}

// shareWith lets a browser show the answer to the page that asked, whose origin
// was allowed (CORS). With cookies and the like it may ask only if the operator
// has named its origin.
func (g *Gateway) shareWith(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Add("Vary", "Origin")
	page := r.Header.Get("Origin")
	if page == "" {
		return
	}
	h.Set("Access-Control-Allow-Origin", page)
	if from, err := parseOrigin(page); err == nil && g.origins.lists(from) {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
}

// turnAway answers a plain request as an upgrade would be, but it is not
// counted: nobody was refused a connection.
func (g *Gateway) turnAway(w http.ResponseWriter, reason refusal) {
	row := reason.row()
	http.Error(w, row.text, row.status)
}

// PublicURL is the URL of the WebSocket under the name by which a request came,
// as its client sees it: a proxy in front may encrypt. Its word, which is only
// repeated to whoever says it, needs no trust.
func PublicURL(r *http.Request) string {
	scheme := "ws"
	if r.TLS != nil || sayEncrypted(r) {
		scheme = "wss"
	}
	return scheme + "://" + r.Host + "/ws"
}

// sayEncrypted tells whether a proxy, or the page's own origin, says that the
// client's connection is encrypted.
func sayEncrypted(r *http.Request) bool {
	if strings.HasPrefix(strings.ToLower(r.Header.Get("Origin")), "https://") {
		return true // a browser would not open ws:// from there
	}
	proto := forwardedProto(r)
	for _, line := range r.Header[headerForwarded] {
		for element := range strings.SplitSeq(line, ",") {
			if p := parseForwarded(element).proto; proto == "" && p != "" {
				proto = p
			}
		}
	}
	return proto == "https" || proto == "wss"
}
