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

	"github.com/moonx-farm/ws-gateway/internal/cluster"
	"github.com/moonx-farm/ws-gateway/internal/fault"
	"github.com/moonx-farm/ws-gateway/internal/fleet"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/tracing"
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
	Subscribe(ctx context.Context, to router.Target, room string) (fleet.Reached, error)
	Unsubscribe(ctx context.Context, from router.Target, room string) (fleet.Reached, error)
}

// Directory knows who is connected.
type Directory interface {
	Connection(ctx context.Context, id string) (fleet.Connection, error)
	Connections(ctx context.Context, userID string, p fleet.Page) fleet.Connections
	Members(ctx context.Context, room string, p fleet.Page) fleet.Members
	Rooms(ctx context.Context, prefix string, p fleet.Page) fleet.Rooms
	Census(ctx context.Context) fleet.Census
}

// Removal ends connections, and credentials before they run out.
type Removal interface {
	Disconnect(ctx context.Context, to router.Target) (fleet.Reached, error)
	RevokeUser(ctx context.Context, userID string, until time.Time) (fleet.Reached, error)
	RevokeToken(ctx context.Context, token string) (fleet.Reached, error)
}

// Instances knows the gateway's processes.
type Instances interface {
	Instances() []cluster.Instance
	Balance(ctx context.Context) fleet.Balance
	Statistics(ctx context.Context) fleet.AllStatistics
	Drain(ctx context.Context, instance string) (int, error)
}

// Parts are what the API works with. It owns none of them.
type Parts struct {
	Publisher  Publisher
	Asker      Asker
	Membership Membership
	Removal    Removal
	Directory  Directory
	Instances  Instances
	Lookup     Lookup
	Running    Running
	Tracer     *tracing.Tracer // nil: makes no spans
	Log        *zap.Logger
}

// Of has all parts played by one fleet, but for Running.
func Of(f *fleet.Fleet, log *zap.Logger) Parts {
	return Parts{Publisher: f, Asker: f, Membership: f, Removal: f, Directory: f, Instances: f, Lookup: f, Log: log}
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
	ctx, span := a.parts.Tracer.Request(ctx, r, r.Pattern)
	in := &request{r.WithContext(ctx), w, a.cfg.MaxBody}
	out, err := handle(in)
	if err != nil {
		span.EndRequest(a.refuse(w, err))
		return
	}
	answer(w, out)
	span.EndRequest(http.StatusOK)
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
