package peer

import (
	"context"
	"crypto/hmac"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/engineio"
	"github.com/moonx-farm/ws-gateway/internal/problem"
	"github.com/moonx-farm/ws-gateway/internal/transport/polling"
)

// Receiver takes what other instances pass on, on the admin port below Path. It
// needs no key of that port: whoever has no valid ticket is refused. Make it with
// NewReceiver. Safe for concurrent use.
type Receiver struct {
	// Immutable.
	self string // incarnation
	keys *Keyring
	next http.Handler

	numbers windows
	stats   receiverCounters
}

// NewReceiver makes a receiver for an incarnation. next serves requests of
// sessions, without admission; it sees the client's address, Host, Origin, path
// and query as they were.
func NewReceiver(self string, keys *Keyring, next http.Handler) *Receiver {
	return &Receiver{self: self, keys: keys, next: next}
}

// ServeHTTP implements http.Handler.
func (v *Receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	to, ok := unprefixed(r.URL)
	if !ok {
		v.refuse(w, refusedForm)
		return
	}
	t, why := v.check(r, to)
	if why != "" {
		v.refuse(w, why)
		return
	}
	v.stats.taken.Add(1)
	if polling.Owner(to.Query().Get("sid")) != v.self { // signed, and yet not for here
		refuse(w, engineio.SessionUnknown.Status(), engineio.SessionUnknown.Body(""))
		return
	}
	v.next.ServeHTTP(w, restored(r, to, t))
}

// unprefixed is the client's own path and query.
func unprefixed(u *url.URL) (*url.URL, bool) {
	path, ok := strings.CutPrefix(u.Path, Path)
	escaped, too := strings.CutPrefix(u.EscapedPath(), Path)
	to := &url.URL{Path: path, RawPath: escaped, RawQuery: u.RawQuery, ForceQuery: u.ForceQuery}
	return to, ok && too && strings.HasPrefix(path, "/")
}

// check tells why a request is not taken, or returns its ticket. What is not
// signed is not read.
func (v *Receiver) check(r *http.Request, to *url.URL) (ticket, refusal) {
	encoded, given := r.Header[ticketHeader], r.Header[signatureHeader]
	if len(encoded) != 1 || len(given) != 1 || len(encoded[0]) > maxTicket {
		return ticket{}, refusedForm
	}
	if !v.signed(r, to, encoded[0], given[0]) {
		return ticket{}, refusedSignature
	}
	t, ok := decodeTicket(encoded[0])
	now := time.Now()
	switch {
	case !ok:
		return t, refusedForm
	case t.To != v.self:
		return t, refusedInstance
	case now.Sub(time.UnixMilli(t.Time)).Abs() > maxSkew:
		return t, refusedTime
	case !v.numbers.take(t.From, t.Sequence, now):
		return t, refusedRepeat
	}
	return t, ""
}

// signed tells whether a ticket was signed with the secret, which may have
// changed since it was last looked at. The time that it takes tells nothing of
// the signature.
func (v *Receiver) signed(r *http.Request, to *url.URL, encoded, given string) bool {
	sum, err := hex.DecodeString(given)
	if err != nil {
		return false
	}
	key := v.keys.current()
	if key != nil && hmac.Equal(sum, signature(key, r.Method, to.RequestURI(), encoded)) {
		return true
	}
	key = v.keys.renew(r.Context(), key)
	return key != nil && hmac.Equal(sum, signature(key, r.Method, to.RequestURI(), encoded))
}

func (v *Receiver) refuse(w http.ResponseWriter, why refusal) {
	v.stats.refused.Add(1)
	w.Header().Set(refusalHeader, string(why))
	w.Header().Set("Connection", "close")
	problem.New(http.StatusForbidden, "forbidden", "this is for the fleet's own instances").Write(w)
}

type forwardedKey struct{}

// wasForwarded tells whether a request came from another instance.
func wasForwarded(r *http.Request) bool { return r.Context().Value(forwardedKey{}) != nil }

// restored is a request as its client sent it, but for headers that were left
// out on the way.
func restored(r *http.Request, to *url.URL, t ticket) *http.Request {
	out := r.Clone(context.WithValue(r.Context(), forwardedKey{}, true))
	out.URL, out.RequestURI, out.Pattern = to, to.RequestURI(), ""
	out.Host, out.RemoteAddr = t.Host, t.Client
	out.Header.Del(ticketHeader)
	out.Header.Del(signatureHeader)
	out.Header.Del("Origin")
	if len(t.Origin) > 0 {
		out.Header["Origin"] = t.Origin
	}
	out.Body = newSignedBody(r.Body, t)
	return out
}
