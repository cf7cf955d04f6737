package console

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// DefaultPath is where the public port serves WebSockets.
const DefaultPath = "/ws"

// Config is what the page must know of the gateway it belongs to.
type Config struct {
	// PublicPort is the port of the WebSocket, on the host that the page was
	// opened with.
	PublicPort int `json:"publicPort"`
	// TLS says that the public port speaks wss.
	TLS bool `json:"tls"`
	// Path is the WebSocket's path; empty: DefaultPath.
	Path string `json:"path"`
	// Development says that any user id is a credential; else one is a secret.
	Development bool `json:"development"`
	// Version is the gateway's, shown in a corner; may be empty.
	Version string `json:"version"`
}

// New returns the handler of the page: "/", "/console.json" and what stands
// under "/console/". Every other path is not found, every method but GET and
// HEAD not allowed. Safe for concurrent use.
func New(cfg Config) http.Handler {
	if cfg.Path == "" {
		cfg.Path = DefaultPath
	}
	h := &handler{cfg: cfg, files: files()}
	body, err := json.Marshal(cfg)
	if err != nil {
		body = []byte("{}") // not reached: the fields are strings, a number and a bool
	}
	h.files["/console.json"] = newFile(typeJSON, string(body))
	return h
}

// handler serves the page. Immutable after New.
type handler struct {
	cfg   Config
	files map[string]*file
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := h.files[r.URL.Path]
	if f == nil {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	socket, ok := socketSource(h.cfg, r.Host)
	if !ok {
		http.Error(w, "the Host header names no host", http.StatusBadRequest)
		return
	}
	head := w.Header()
	head.Set("Content-Security-Policy", contentSecurityPolicy(socket))
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Referrer-Policy", "no-referrer")
	head.Set("Cross-Origin-Resource-Policy", "same-origin")
	head.Set("Cache-Control", "no-cache")
	head.Set("Content-Type", f.mediaType)
	head.Set("ETag", f.etag)
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(f.body))
}

// file is one thing to serve.
type file struct {
	mediaType string
	body      string
	etag      string // strong: made of the body
}

func newFile(mediaType, body string) *file {
	sum := sha256.Sum256([]byte(body))
	return &file{mediaType, body, `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
}
