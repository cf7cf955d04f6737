package client

import (
	"crypto/sha256"
	_ "embed" // the client's files
	"encoding/base64"
	"net/http"
	"strings"
	"time"
)

// The client's files, embedded as strings so that nothing can change them.
var (
	//go:embed client.js
	script string
	//go:embed client.d.ts
	types string
)

// The paths under which the files are served.
const (
	ScriptPath = "/client.js"
	TypesPath  = "/client.d.ts"
)

// New returns the handler of both paths; others are not found. Browsers ask
// again before they use what they have kept, so that the client is never older
// than the gateway. Safe for concurrent use.
func New() http.Handler {
	return handler{
		ScriptPath: newFile("text/javascript; charset=utf-8", script),
		TypesPath:  newFile("application/typescript; charset=utf-8", types),
	}
}

// handler is the files by path. Immutable after New.
type handler map[string]file

// ServeHTTP implements http.Handler.
func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, ok := h[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	head := w.Header()
	head.Set("Content-Type", f.mediaType)
	head.Set("ETag", f.etag)
	head.Set("Cache-Control", "no-cache")
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Access-Control-Allow-Origin", "*")
	head.Set("Cross-Origin-Resource-Policy", "cross-origin")
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(f.body))
}

type file struct {
	mediaType string
	body      string
	etag      string // strong: made of the body
}

func newFile(mediaType, body string) file {
	sum := sha256.Sum256([]byte(body))
	return file{mediaType, body, `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
}
