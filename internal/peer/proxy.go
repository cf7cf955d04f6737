package peer

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// passage is one request on its way. It belongs to the goroutine that serves the
// client, and to what that waits for.
type passage struct {
	to      string   // incarnation
	base    *url.URL // of its admin port
	uri     string   // the client's path and query
	body    []byte
	digest  string
	client  string
	host    string
	origin  []string
	upgrade bool

	rc     *http.ResponseController
	answer http.Header // the client's
	left   func() bool // tells whether the client has gone
	cancel func()
	timer  *time.Timer            // calls end
	conn   atomic.Pointer[tunnel] // nil unless it is a WebSocket
	broken bool                   // the answer has not come whole
}

// end ends it, from any goroutine.
func (p *passage) end() {
	p.cancel()
	if t := p.conn.Load(); t != nil {
		_ = t.Close()
	}
}

type passageKey struct{}

func passageOf(ctx context.Context) *passage {
	p, _ := ctx.Value(passageKey{}).(*passage)
	return p
}

// quiet is a context that does not tell httputil.ReverseProxy that it serves a
// http.Server: then it does not panic when an answer breaks off, which the log
// would show as a fault of the program. pass cuts the client's connection
// instead.
type quiet struct{ context.Context }

// Value implements context.Context.
func (q quiet) Value(key any) any {
	if key == http.ServerContextKey {
		return nil
	}
	return q.Context.Value(key)
}

// pass carries out a passage.
func (f *Forwarder) pass(w http.ResponseWriter, r *http.Request, p *passage) {
	ctx, cancel := context.WithCancel(context.WithValue(quiet{r.Context()}, passageKey{}, p))
	defer cancel()
	p.cancel, p.left = cancel, func() bool { return r.Context().Err() != nil }
	defer context.AfterFunc(f.ctx, p.end)() //nolint:contextcheck // the end of either ends it
	p.timer = time.AfterFunc(f.cfg.HoldTime, p.end)
	defer p.timer.Stop()
	out := r.WithContext(ctx) //nolint:contextcheck // it is the request's own, made quiet
	out.Body, out.ContentLength, out.TransferEncoding = replayable(p.body), int64(len(p.body)), nil
	f.stats.passed.Add(1)
	f.proxy.ServeHTTP(&writer{ResponseWriter: w, passage: p, limit: f.cfg.WriteTimeout}, out)
	f.closed(p)
	if p.broken {
		f.fail(p)
		cut(p.rc)
		return
	}
	_ = p.rc.SetWriteDeadline(time.Time{}) // the HTTP connection lives on
}

// cut ends a client's HTTP connection in the middle of an answer.
func cut(rc *http.ResponseController) {
	if conn, _, err := rc.Hijack(); err == nil {
		_ = conn.Close()
	}
}

// newProxy makes what does the work.
func (f *Forwarder) newProxy() (*httputil.ReverseProxy, error) {
	std, err := zap.NewStdLogAt(f.parts.Log, zap.DebugLevel) // clients' faults, of which there are many
	if err != nil {
		return nil, err
	}
	return &httputil.ReverseProxy{
		Rewrite: rewrite, Transport: f.sender, ModifyResponse: f.answered, ErrorHandler: f.lost,
		BufferPool: &buffers{}, ErrorLog: std,
	}, nil
}

// rewrite makes a client's request one to another instance. Of its headers those
// go along that the protocol has: no credentials, nothing that only proxies may
// say, and nothing by which the admin port would take it for a page's.
func rewrite(r *httputil.ProxyRequest) {
	p := passageOf(r.In.Context())
	to, from := *p.base, r.In.URL
	to.RawPath = to.EscapedPath() + Path + from.EscapedPath()
	to.Path += Path + from.Path
	to.RawQuery, to.ForceQuery = from.RawQuery, from.ForceQuery
	r.Out.URL, r.Out.Host = &to, ""
	h := http.Header{}
	for name, values := range r.Out.Header {
		if passes(name) {
			h[name] = values
		}
	}
	r.Out.Header = h
}

// passes tells whether another instance is told a client's header. Connection
// and Upgrade are those of the ReverseProxy by now.
func passes(name string) bool {
	switch name {
	case "Connection", "Upgrade", "Content-Type":
		return true
	}
	return strings.HasPrefix(name, "Sec-Websocket-")
}

// answered looks at an answer before the client gets it.
func (f *Forwarder) answered(resp *http.Response) error {
	p := passageOf(resp.Request.Context())
	for name := range p.answer {
		resp.Header.Del(name)
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		p.timer.Stop()
		return f.opened(p)
	}
	_ = p.rc.SetWriteDeadline(time.Now().Add(f.cfg.WriteTimeout))
	resp.Body = &answerBody{resp.Body, p}
	return nil
}

// answerBody notes that an answer breaks off.
type answerBody struct {
	io.ReadCloser
	passage *passage
}

// Read implements io.Reader.
func (b *answerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.passage.broken = true
	}
	return n, err
}

// lost answers a client for whom there is no answer.
func (f *Forwarder) lost(w http.ResponseWriter, r *http.Request, err error) {
	p := passageOf(r.Context())
	f.fail(p)
	f.parts.Log.Debug("peer: no answer from the session's instance", zap.String("instance", p.to), zap.Error(err))
	f.unknown(w)
}

// fail counts a failure, unless it is the client's.
func (f *Forwarder) fail(p *passage) {
	if !p.left() {
		f.stats.failed.Add(1)
	}
}

// bufferSize is what answers are copied through, in bytes.
const bufferSize = 16 << 10

// buffers are for the copying of answers. Safe for concurrent use.
type buffers struct{ pool sync.Pool }

// Get implements httputil.BufferPool.
func (b *buffers) Get() []byte {
	if buf, ok := b.pool.Get().(*[]byte); ok {
		return *buf
	}
	return make([]byte, bufferSize)
}

// Put implements httputil.BufferPool.
func (b *buffers) Put(buf []byte) { b.pool.Put(&buf) }
