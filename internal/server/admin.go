package server

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// Keys tells who may use the admin port. Immutable.
type Keys struct {
	digests   [][sha256.Size]byte
	generated string
}

// NewKeys takes the configured keys. Without any it makes one up when the
// admin port is on loopback; elsewhere nobody has a key.
func NewKeys(c Config) Keys {
	var k Keys
	for _, key := range c.AdminKeys {
		k.digests = append(k.digests, sha256.Sum256([]byte(key)))
	}
	if len(k.digests) == 0 && loopback(c.AdminHost) {
		k.generated = rand.Text()
		k.digests = append(k.digests, sha256.Sum256([]byte(k.generated)))
	}
	return k
}

// Generated is the key that was made up, "" if there is none. It is for the
// terminal of whoever started the process and for nothing else.
func (k Keys) Generated() string { return k.generated }

// Exist tells whether anybody can have a key.
func (k Keys) Exist() bool { return len(k.digests) > 0 }

// present tells whether a request has a key. The time it takes tells nothing
// of the keys.
func (k Keys) present(r *http.Request) bool {
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return false
	}
	sum := sha256.Sum256([]byte(strings.TrimSpace(key)))
	found := 0
	for i := range k.digests {
		found |= subtle.ConstantTimeCompare(sum[:], k.digests[i][:])
	}
	return found == 1
}

// guard asks for a key.
func (k Keys) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !k.Exist():
			http.Error(w, "off: set ADMIN_API_KEYS", http.StatusForbidden)
		case !k.present(r):
			w.Header().Set("WWW-Authenticate", `Bearer realm="admin"`)
			http.Error(w, "a key of ADMIN_API_KEYS is needed: Authorization: Bearer", http.StatusUnauthorized)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// hostGuard refuses requests under names that are not ours: a page of another
// site whose name was made to point here (DNS rebinding) would else speak to
// the admin port as its own.
func hostGuard(allowed []string, next http.Handler) http.Handler {
	names := map[string]bool{}
	for _, name := range allowed {
		names[strings.ToLower(strings.TrimSpace(name))] = true
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := (&url.URL{Host: strings.ToLower(r.Host)}).Hostname()
		if !names[host] && !ownHost(host) {
			http.Error(w, "unknown Host: see ADMIN_ALLOWED_HOSTS", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// ownHost tells whether a host is an IP address, which no rebinding can
// choose, or a name of this machine for everybody.
func ownHost(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	_, err := netip.ParseAddr(host)
	return err == nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
