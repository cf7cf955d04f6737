package gateway

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/tracing"
)

// refusal is why a request is not upgraded.
type refusal uint8

const (
	refusedPlain refusal = iota
	refusedDraining
	refusedFull
	refusedInsecure
	refusedRemote
	refusedOrigin
	refusedProtocol
	refusedHost
	refusedHandshakes
	refusedPending
	refusedAddress
	refusedMemory
	refusals // how many there are
)

type refusalRow struct {
	name   string // metric label
	status int
	text   string
}

// refusalTable is the one table of refusals.
var refusalTable = [refusals]refusalRow{
	refusedPlain:    {"plain", http.StatusUpgradeRequired, "this is a WebSocket endpoint: new WebSocket(url)"},
	refusedDraining: {"draining", http.StatusServiceUnavailable, "this instance is going away: connect again"},
	refusedFull:     {"full", http.StatusServiceUnavailable, "this instance holds as many connections as it may"},
	refusedInsecure: {"insecure", http.StatusForbidden, "SECURITY_LEVEL=strict refuses plain HTTP: use wss://"},
	refusedRemote: {"remote", http.StatusForbidden,
		"development identities are for this machine alone: set AUTH_MODE=development to serve them to others"},
	refusedOrigin:     {"origin", http.StatusForbidden, "the page's origin is not allowed: see ALLOWED_ORIGINS"},
	refusedProtocol:   {"protocol", http.StatusBadRequest, "offer the subprotocol gateway.v1, or none"},
	refusedHost:       {"host", http.StatusMisdirectedRequest, "unknown Host: see ALLOWED_HOSTS"},
	refusedHandshakes: {"handshakes", http.StatusServiceUnavailable, "too many handshakes are in progress"},
	refusedPending:    {"unauthenticated", http.StatusServiceUnavailable, "too many connections wait to be authenticated: present a credential in the request"},
	refusedAddress:    {"address", http.StatusTooManyRequests, "this address holds as many connections as one may"},
	refusedMemory:     {"memory", http.StatusServiceUnavailable, "this instance is short of memory"},
}

func (r refusal) row() refusalRow { return refusalTable[r] }

// refuse answers a request that is not upgraded.
func (g *Gateway) refuse(w http.ResponseWriter, r *http.Request, reason refusal) {
	row := g.refusing(w, r, reason)
	http.Error(w, row.text, row.status)
}

// refusing counts a refusal and sets the headers of its answer.
func (g *Gateway) refusing(w http.ResponseWriter, r *http.Request, reason refusal) refusalRow {
	g.refused[reason].Add(1)
	row := reason.row()
	tracing.Current(r.Context()).Refuse(row.name, row.status)
	w.Header().Set("Connection", "close") // what follows on it could be anything
	switch row.status {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter()/time.Second)))
	case http.StatusUpgradeRequired:
		w.Header().Set("Upgrade", "websocket")
	}
	return row
}

// The least and the most that a client is asked to wait.
const (
	retryLeast = 5 * time.Second
	retryMost  = 15 * time.Second
)

// retryAfter is when a client may try again that found no room: each at
// another time, so that those who were refused together do not come together.
func retryAfter() time.Duration {
	return retryLeast + rand.N(retryMost-retryLeast+time.Second) //nolint:gosec // a spread, no secret
}

// Refused counts the requests that were not upgraded, by reason.
func (g *Gateway) Refused() map[string]int64 {
	out := make(map[string]int64, refusals)
	for r := range refusals {
		out[r.row().name] = g.refused[r].Load()
	}
	return out
}
