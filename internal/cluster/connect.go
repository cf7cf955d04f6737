package cluster

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/problem"
)

// Connect answers GET /connect: where a client should connect. Safe for
// concurrent use.
type Connect struct {
	// Immutable after NewConnect.
	registry  *Registry
	placement *Placement
	screen    func(w http.ResponseWriter, r *http.Request) bool
	own       func(r *http.Request) string

	answered, refused atomic.Int64
}

var _ http.Handler = (*Connect)(nil)

// NewConnect makes the handler. screen refuses requests of pages that may not
// ask, and sets what a browser needs for the others; own is the URL of the
// WebSocket under the name that a request came by.
func NewConnect(r *Registry, p *Placement, screen func(http.ResponseWriter, *http.Request) bool, own func(*http.Request) string) *Connect {
	return &Connect{registry: r, placement: p, screen: screen, own: own}
}

// maxAlternatives is how many more URLs a client is told.
const maxAlternatives = 2

// directions are the answer.
type directions struct {
	// URL is for a WebSocket: that of the best instance, or where the request
	// came to when instances advertise none.
	URL      string `json:"url"`
	Instance string `json:"instance,omitempty"` // INSTANCE_ID behind the URL
	// Alternatives are URLs of others, the best first, for when the first
	// fails.
	Alternatives []string `json:"alternatives,omitempty"`
}

// ServeHTTP answers with the directions as JSON, or 503 with Retry-After when
// no instance takes a connection.
func (c *Connect) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !c.screen(w, r) {
		return
	}
	d, ok := c.direct(r)
	if !ok {
		c.refused.Add(1)
		p := problem.New(http.StatusServiceUnavailable, "unavailable", "no instance takes a connection now")
		p.Retryable, p.RetryAfter = true, retryAfter()
		p.Write(w)
		return
	}
	c.answered.Add(1)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(d) // the client may have gone
}

// direct finds out where a client should go.
func (c *Connect) direct(r *http.Request) (directions, bool) {
	all := c.registry.View()
	if !slices.ContainsFunc(all, takes) {
		return directions{}, false
	}
	best, ok := c.placement.place(advertised(slices.Clone(all)), c.registry.cfg.Zone)
	if !ok {
		// All stand behind one name: who is behind it decides.
		return directions{URL: c.own(r)}, true
	}
	d := directions{URL: best.URL + webSocketPath, Instance: best.ID}
	for _, other := range ranked(advertised(all), c.registry.cfg.Zone) {
		if other.Incarnation != best.Incarnation && len(d.Alternatives) < maxAlternatives {
			d.Alternatives = append(d.Alternatives, other.URL+webSocketPath)
		}
	}
	return d, true
}

// Stats returns how many requests were answered with a URL, and how many with
// 503.
func (c *Connect) Stats() (answered, refused int64) { return c.answered.Load(), c.refused.Load() }

// The least and the most that a client is asked to wait.
const (
	retryLeast = 5 * time.Second
	retryMost  = 15 * time.Second
)

// retryAfter is when a client may ask again, each at another time.
func retryAfter() time.Duration {
	return retryLeast + rand.N(retryMost-retryLeast+time.Second) //nolint:gosec // a spread, no secret
}
