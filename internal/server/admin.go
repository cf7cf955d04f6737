package server

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/moonx-farm/ws-gateway/internal/problem"
)

// Keys tells who may use the admin port: the zero Keys, that nobody may. Safe
// for concurrent use.
type Keys struct {
	// Immutable.
	given     []string // those of ADMIN_API_KEYS
	file      string   // of more; "" without
	generated string

	digests atomic.Pointer[[][sha256.Size]byte]
}

// NewKeys takes the configured keys, and those of the configured file. Without
// either setting it makes a key up when the admin port is on loopback;
// elsewhere nobody has a key. The error is of the file.
func NewKeys(c Config) (*Keys, error) {
	k := &Keys{given: c.AdminKeys, file: c.AdminKeysFile}
	if len(k.given) == 0 && k.file == "" && loopback(c.AdminHost) {
		k.generated = rand.Text()
		k.given = []string{k.generated}
	}
	return k, k.load()
}

// load puts into force what the file holds now, besides the keys that were
// given. A file that does not load leaves the old keys in force.
func (k *Keys) load() error {
	keys := k.given
	if k.file != "" {
		more, err := readKeys(k.file)
		if err != nil {
			return err
		}
		keys = slices.Concat(keys, more)
	}
	digests := make([][sha256.Size]byte, 0, len(keys))
	for _, key := range keys {
		digests = append(digests, sha256.Sum256([]byte(key)))
	}
	k.digests.Store(&digests)
	return nil
}

// Generated is the key that was made up, "" if there is none. It is for the
// terminal of whoever started the process and for nothing else.
func (k *Keys) Generated() string { return k.generated }

// Exist tells whether anybody can have a key.
func (k *Keys) Exist() bool { return len(k.current()) > 0 }

func (k *Keys) current() [][sha256.Size]byte {
	if digests := k.digests.Load(); digests != nil {
		return *digests
	}
	return nil
}

// present tells whether a request has a key. The time it takes tells nothing
// of the keys.
func (k *Keys) present(r *http.Request) bool {
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return false
	}
	sum := sha256.Sum256([]byte(strings.TrimSpace(key)))
	found := 0
	for _, digest := range k.current() {
		found |= subtle.ConstantTimeCompare(sum[:], digest[:])
	}
	return found == 1
}

// guard asks for a key.
func (k *Keys) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !k.Exist():
			problem.New(http.StatusForbidden, "forbidden", "off: set ADMIN_API_KEYS").Write(w)
		case !k.present(r):
			w.Header().Set("WWW-Authenticate", `Bearer realm="admin"`)
			problem.New(http.StatusUnauthorized, "unauthenticated",
				"a key of ADMIN_API_KEYS is needed: Authorization: Bearer").Write(w)
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
			problem.New(http.StatusMisdirectedRequest, "unknown_host", "unknown Host: see ADMIN_ALLOWED_HOSTS").Write(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// siteGuard refuses what a page of another site lets a browser send, unless it
// only reads, of which the page is shown nothing: no answer allows it to.
func siteGuard(next http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		problem.New(http.StatusForbidden, "cross_origin", "pages of other sites may not do this").Write(w)
	}))
	return cross.Handler(next)
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
