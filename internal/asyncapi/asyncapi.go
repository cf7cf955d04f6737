package asyncapi

import (
	"crypto/sha256"
	_ "embed" // the document
	"encoding/base64"
	"net/http"
	"strings"
	"time"
)

// Path is where the document is served.
const Path = "/asyncapi.json"

// document is embedded as a string so that nothing can change it.
//
//go:embed asyncapi.json
var document string

// New returns the handler of Path. Browsers ask again before they use what they
// have kept, so that the document is never older than the gateway. Safe for
// concurrent use.
func New() http.Handler {
	sum := sha256.Sum256([]byte(document))
	return handler{etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
}

// handler is the document. Immutable after New.
type handler struct {
	etag string // strong: made of the document
}

// ServeHTTP implements http.Handler.
func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	head := w.Header()
	head.Set("Content-Type", "application/json")
	head.Set("ETag", h.etag)
	head.Set("Cache-Control", "no-cache")
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Access-Control-Allow-Origin", "*")
	head.Set("Cross-Origin-Resource-Policy", "cross-origin")
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(document))
}
