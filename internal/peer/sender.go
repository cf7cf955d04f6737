package peer

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

const (
	dialTime       = 3 * time.Second
	keepAlive      = 15 * time.Second // a WebSocket may be idle for as long as its heartbeats allow
	idleTime       = 30 * time.Second // less than an admin port keeps a connection
	maxIdle        = 256              // connections kept per instance
	maxHeaderBytes = 16 << 10
	smallBuffer    = 2 << 10 // bytes: a WebSocket keeps its connection's two
)

// newTransport makes connections to other instances. How many there are is
// bounded by what is passed on, so that nobody waits for one.
func newTransport(cfg Config) *http.Transport {
	dialer := &net.Dialer{Timeout: dialTime, KeepAlive: keepAlive}
	t := &http.Transport{
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    dialTime,
		DisableCompression:     true, // what is read is what was sent
		MaxConnsPerHost:        cfg.MaxRequests + cfg.MaxWebSockets,
		MaxIdleConnsPerHost:    maxIdle,
		IdleConnTimeout:        idleTime,
		MaxResponseHeaderBytes: maxHeaderBytes,
		ReadBufferSize:         smallBuffer,
		WriteBufferSize:        smallBuffer,
		Protocols:              new(http.Protocols), // WebSocket needs HTTP/1.1
	}
	t.Protocols.SetHTTP1(true)
	return t
}

// refusal is why a Receiver did not take a request.
type refusal string

// The refusals. What follows a request that was refused is as if it had not been
// sent.
const (
	refusedForm      refusal = "form"      // no ticket that can be read
	refusedSignature refusal = "signature" // signed with another secret, or forged
	refusedTime      refusal = "time"      // too old, or of the future
	refusedRepeat    refusal = "repeat"    // its number was used, or is too far behind
	refusedInstance  refusal = "instance"  // for another instance
)

// refusedError is the answer of a Receiver that did not take a request.
type refusedError struct{ why refusal }

// Error implements error.
func (e *refusedError) Error() string { return "the instance refuses the request: " + string(e.why) }

// sender signs requests and sends them. Safe for concurrent use.
type sender struct {
	// Immutable.
	next http.RoundTripper
	keys *Keyring
	self string // incarnation
	log  *zap.Logger

	sequence atomic.Uint64
	said     atomic.Int64 // when a refusal was last logged, in Unix seconds
}

var _ http.RoundTripper = (*sender)(nil)

// RoundTrip implements http.RoundTripper. A request that was refused for a
// secret that has changed meanwhile, or for its number, is sent once more.
func (s *sender) RoundTrip(r *http.Request) (*http.Response, error) {
	p := passageOf(r.Context())
	key := s.keys.current()
	if key == nil {
		key = s.keys.renew(r.Context(), nil)
	}
	resp, why, err := s.send(r, p, key)
	switch why {
	case refusedSignature:
		if fresh := s.keys.renew(r.Context(), key); fresh != nil {
			resp, why, err = s.send(r, p, fresh)
		}
	case refusedRepeat:
		resp, why, err = s.send(r, p, key)
	}
	if err != nil {
		return nil, err
	}
	if why != "" {
		s.warn(p.to, why)
		return nil, &refusedError{why}
	}
	return resp, nil
}

// errNoSecret says that there is nothing to sign with.
var errNoSecret = errors.New("the secret that instances share is not known")

// send signs a request and sends it once. A request that was refused has no
// response.
func (s *sender) send(r *http.Request, p *passage, key []byte) (*http.Response, refusal, error) {
	if key == nil {
		return nil, "", errNoSecret
	}
	out := r.Clone(r.Context())
	if len(p.body) > 0 {
		out.Body = replayable(p.body)
		out.GetBody = func() (io.ReadCloser, error) { return replayable(p.body), nil }
	}
	t := ticket{
		From: s.self, To: p.to, Sequence: s.sequence.Add(1), Time: time.Now().UnixMilli(),
		Length: int64(len(p.body)), Digest: p.digest, Client: p.client, Host: p.host, Origin: p.origin,
	}
	if err := seal(out.Header, key, r.Method, p.uri, t); err != nil {
		return nil, "", err
	}
	resp, err := s.next.RoundTrip(out)
	if err != nil {
		return nil, "", err
	}
	if why := refusal(resp.Header.Get(refusalHeader)); why != "" {
		_ = resp.Body.Close()
		return nil, why, nil
	}
	return resp, "", nil
}

// sayEvery is how often refusals are logged, in seconds.
const sayEvery = 30

// warn tells of a refusal, which is a fault of the configuration or of clocks.
func (s *sender) warn(to string, why refusal) {
	now := time.Now().Unix()
	if said := s.said.Load(); now-said < sayEvery || !s.said.CompareAndSwap(said, now) {
		return
	}
	text := "peer: an instance does not take what is passed on to it"
	switch why {
	case refusedTime:
		text += ": the clocks of the two differ"
	case refusedInstance:
		text += ": its PEER_URL or ADMIN_HOST leads to another"
	}
	s.log.Warn(text, zap.String("to", to), zap.String("reason", string(why)))
}
