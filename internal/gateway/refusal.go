package gateway

import "net/http"

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
	refusals // how many there are
)

type refusalRow struct {
	name   string // metric label
	status int
	text   string
}

// row is the one table of refusals.
func (r refusal) row() refusalRow {
	switch r {
	case refusedPlain:
		return refusalRow{"plain", http.StatusUpgradeRequired, "this is a WebSocket endpoint: new WebSocket(url)"}
	case refusedDraining:
		return refusalRow{"draining", http.StatusServiceUnavailable, "this instance is going away: connect again"}
	case refusedFull:
		return refusalRow{"full", http.StatusServiceUnavailable, "this instance holds as many connections as it may"}
	case refusedInsecure:
		return refusalRow{"insecure", http.StatusForbidden, "SECURITY_LEVEL=strict refuses plain HTTP: use wss://"}
	case refusedRemote:
		return refusalRow{"remote", http.StatusForbidden,
			"development identities are for this machine alone: set AUTH_MODE=development to serve them to others"}
	case refusedOrigin:
		return refusalRow{"origin", http.StatusForbidden, "the page's origin is not allowed: see ALLOWED_ORIGINS"}
	case refusedProtocol:
		return refusalRow{"protocol", http.StatusBadRequest, "offer the subprotocol gateway.v1, or none"}
	}
	return refusalRow{"other", http.StatusBadRequest, "refused"}
}

// Refused counts the requests that were not upgraded, by reason.
func (g *Gateway) Refused() map[string]int64 {
	out := make(map[string]int64, refusals)
	for r := range refusals {
		out[r.row().name] = g.refused[r].Load()
	}
	return out
}
