package httpapi

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/fault"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Prefix begins the path of every route.
const Prefix = "/api/v1"

// requestTime bounds how long a request may wait for the broker.
const requestTime = 30 * time.Second

// Publisher sends what backends publish.
type Publisher interface {
	SendRoom(ctx context.Context, room string, o router.Outgoing) (wire.Position, error)
	SendUser(ctx context.Context, userID string, o router.Outgoing) (wire.Position, error)
	SendConnection(ctx context.Context, id string, o router.Outgoing) error
	SendEveryone(ctx context.Context, o router.Outgoing) error
	ReadHistory(ctx context.Context, room string, since wire.Position, limit int) (router.History, error)
}

// Membership moves connections in and out of rooms.
type Membership interface {
	Subscribe(ctx context.Context, to router.Target, room string) (int, error)
	Unsubscribe(from router.Target, room string) (int, error)
}

// Directory knows who is connected.
type Directory interface {
	Session(id string) *session.Session
	Connections(userID string) []*session.Session
	Presence(room, after string) hub.Page
	Rooms(prefix, after string, limit int) ([]hub.RoomCount, bool)
	Census() hub.Census
}

// Removal ends connections, and credentials before they run out.
type Removal interface {
	Disconnect(connectionID string) bool
	DisconnectUser(userID string) int
	RevokeUser(userID string, until time.Time) (int, error)
	RevokeToken(token string) (int, error)
}

// Admission tells whether new connections are taken, and how many.
type Admission interface {
	Ready(ctx context.Context) error
	Capacity() int
}

// Parts are what the API works with. It owns none of them.
type Parts struct {
	Publisher  Publisher
	Membership Membership
	Removal    Removal
	Directory  Directory
	Admission  Admission
	Log        *zap.Logger
}

// API answers requests under Prefix. Make it with New. Safe for concurrent use.
type API struct {
	// Immutable after New.
	cfg    Config
	parts  Parts
	mux    *http.ServeMux
	faults *fault.Reporter

	stats counters
}

var _ http.Handler = (*API)(nil)

// New makes the API.
func New(cfg Config, parts Parts) *API {
	a := &API{cfg: cfg, parts: parts, mux: http.NewServeMux(), faults: fault.NewReporter(parts.Log)}
	paths := map[string]methods{}
	for _, r := range a.routes() {
		if paths[r.path] == nil {
			paths[r.path] = methods{}
		}
		paths[r.path][r.method] = r.handle
	}
	for path, m := range paths {
		a.mux.HandleFunc(Prefix+path, func(w http.ResponseWriter, r *http.Request) { a.serve(w, r, m) })
	}
	a.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { a.refuse(w, errNotFound) })
	return a
}

// ServeHTTP implements http.Handler. Whoever calls it has checked the key.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.stats.requests.Add(1)
	a.mux.ServeHTTP(w, r)
}

// handler answers one request with what is to be written as JSON.
type handler func(r *request) (any, error)

// methods are the handlers of one path.
type methods map[string]handler

// allowed lists the methods for the header Allow.
func (m methods) allowed() string {
	var all []string
	for name := range m {
		all = append(all, name)
		if name == http.MethodGet {
			all = append(all, http.MethodHead)
		}
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

func (a *API) serve(w http.ResponseWriter, r *http.Request, m methods) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	handle := m[method]
	if handle == nil {
		w.Header().Set("Allow", m.allowed())
		a.refuse(w, errMethod)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), requestTime)
	defer cancel()
	in := &request{r.WithContext(ctx), w, a.cfg.MaxBody}
	out, err := handle(in)
	if err != nil {
		a.refuse(w, err)
		return
	}
	answer(w, out)
}

// document is JSON that is written as it is.
type document string

// answer writes JSON.
func answer(w http.ResponseWriter, out any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if raw, ok := out.(document); ok {
		_, _ = io.WriteString(w, string(raw)) // the client may have gone
		return
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(out) // as above
}
