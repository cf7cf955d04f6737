// Package problem writes HTTP errors as application/problem+json (RFC 9457):
// one shape for every refusal of the admin port.
package problem

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// ContentType is the media type of a problem.
const ContentType = "application/problem+json"

// Problem says why a request was refused. Nothing in it is internal or secret.
type Problem struct {
	Type   string `json:"type"`  // "about:blank": the status says what kind it is
	Title  string `json:"title"` // the status in words
	Status int    `json:"status"`
	Detail string `json:"detail"` // for people
	Code   string `json:"code"`   // for programs
	Reason string `json:"reason,omitempty"`
	// Retryable tells whether the same request may succeed later.
	Retryable bool `json:"retryable"`

	// RetryAfter is when; 0 says nothing. It is a header.
	RetryAfter time.Duration `json:"-"`
}

// New makes a problem of a status.
func New(status int, code, detail string) Problem {
	return Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, Code: code}
}

// Write answers a request with the problem.
func (p Problem) Write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", ContentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(max(time.Second, p.RetryAfter)/time.Second)))
	}
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client may have gone
}
