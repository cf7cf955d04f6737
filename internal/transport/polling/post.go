package polling

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/engineio"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// farewellWait is how long a POST that ends the session waits for a poll that
// was sent before it.
const farewellWait = 250 * time.Millisecond

// bodyStep is what a body of unknown length is read into at first.
const bodyStep = 4 << 10

// Why a POST fails.
var (
	errTooLarge = errors.New("the body is too large")
	errNoMemory = errors.New("polling memory exceeded")
	errNotText  = errors.New("a payload is text")
	errAborted  = errors.New("post aborted")
	errEnded    = errors.New("the session has ended")
)

// post is one POST of a session.
type post struct {
	rc *http.ResponseController

	// Guarded by the session's mu.
	reading bool // its body
	cut     bool // its reading was: the HTTP connection serves nothing more
}

// servePost takes the packets of a POST. It answers once the handler has taken
// them all.
func (e *session) servePost(w http.ResponseWriter, r *http.Request) {
	p := &post{rc: http.NewResponseController(w)}
	if code, ok := e.beginPost(p); !ok {
		e.srv.Refuse(w, code, "")
		return
	}
	body, err := e.readBody(p, r)
	if err == nil {
		e.srv.stats.posts.Add(1)
		err = e.deliverAll(r.Context(), body)
	}
	e.srv.budget.release(cap(body))
	farewell := e.endPost(err)
	e.linger(r.Context(), farewell)
	if e.wasCut(p) {
		w.Header().Set("Connection", "close")
	}
	switch {
	case errors.Is(err, errTooLarge):
		w.Header().Set("Connection", "close") // the rest of it is not read
		e.srv.refuse(w, http.StatusRequestEntityTooLarge, engineio.BadRequest, errTooLarge.Error())
	case errors.Is(err, errNoMemory):
		w.Header().Set("Connection", "close")
		e.srv.unavailable(w, errNoMemory.Error())
	case err != nil:
		e.srv.Refuse(w, engineio.BadRequest, "")
	default:
		reply(w, http.StatusOK, postedType, []byte(posted))
	}
}

func (e *session) beginPost(p *post) (engineio.ErrorCode, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.judgeLocked(e.srv.now())
	switch {
	case e.polls == nil:
		return engineio.BadRequest, false
	case e.over:
		return engineio.SessionUnknown, false
	case e.polls.post != nil:
		e.violateLocked("concurrent posts")
		return engineio.BadRequest, false
	}
	e.polls.post = p
	return 0, true
}

// readBody reads a POST's body. Its capacity is taken from the budget.
func (e *session) readBody(p *post, r *http.Request) ([]byte, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && kind == "application/octet-stream" {
		return nil, errNotText
	}
	limit := e.srv.cfg.MaxPayload
	if r.ContentLength > int64(limit) {
		return nil, errTooLarge
	}
	e.startReading(p)
	body, err := e.readAll(r.Body, limit)
	e.stopReading(p)
	return body, err
}

func (e *session) startReading(p *post) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p.reading = !e.over; p.reading {
		_ = p.rc.SetReadDeadline(time.Now().Add(e.srv.cfg.MessageTimeout))
	}
}

// stopReading lifts the deadline: net/http watches for the end of the client
// from now on, and takes one that has passed for that, for all later requests
// of the HTTP connection, whosever they are.
func (e *session) stopReading(p *post) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p.reading = false; !p.cut {
		_ = p.rc.SetReadDeadline(time.Time{})
	}
}

func (e *session) wasCut(p *post) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return p.cut
}

// readAll reads at most limit bytes into memory that grows as they come.
func (e *session) readAll(from io.Reader, limit int) ([]byte, error) {
	var body []byte
	for {
		if len(body) == cap(body) {
			// One byte more than the limit, to see that there is none.
			room := min(max(2*cap(body), bodyStep), limit+1)
			if room <= cap(body) {
				return body, errTooLarge
			}
			if !e.srv.budget.reserve(room) {
				return body, errNoMemory
			}
			grown := append(make([]byte, 0, room), body...)
			e.srv.budget.release(cap(body))
			body = grown
		}
		n, err := from.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case len(body) > limit:
			return body, errTooLarge
		case errors.Is(err, io.EOF):
			return body, nil
		case err != nil:
			return body, errAborted
		}
	}
}

// deliverAll gives the handler the messages of a payload. An error ends the
// session; the messages before it were delivered.
func (e *session) deliverAll(ctx context.Context, body []byte) error {
	e.beginDelivery()
	p := engineio.Decode(body)
	for p.Next() {
		if on, err := e.receives(); !on {
			return err
		}
		e.srv.stats.in.Add(1)
		if !e.take(p.Packet) {
			e.pause(ctx)
		}
	}
	if err := p.Err(); err != nil {
		return err
	}
	_, err := e.receives()
	return err
}

func (e *session) beginDelivery() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.polls.receiving = !e.over
}

// receives tells whether the next packet counts: none does once the client has
// left, nor while the session closes.
func (e *session) receives() (bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch p := e.polls; {
	case p.left:
		return false, nil
	case e.over:
		return false, errEnded
	case p.closing:
		return false, nil
	}
	return true, nil
}

// pause waits for Resume, or the end.
func (e *session) pause(ctx context.Context) {
	e.mu.Lock()
	p := e.polls
	if e.holds <= 0 || e.over || p.closing {
		e.mu.Unlock()
		return
	}
	resumed := make(chan struct{})
	p.resumed = resumed
	e.mu.Unlock()
	select {
	case <-resumed:
	case <-ctx.Done():
		e.mu.Lock()
		e.lostLocked("post aborted")
		e.mu.Unlock()
	}
}

// endPost lets the next POST come, or an upgrade, and ends the session if the
// body calls for it. It returns what the POST of a client that has left waits
// for, else nil.
func (e *session) endPost(err error) (farewell chan struct{}) {
	e.mu.Lock()
	e.polls.post = nil
	e.failLocked(err)
	unclosed := e.deliveredLocked()
	farewell = e.polls.farewell
	e.upgradeLocked()
	e.mu.Unlock()
	if unclosed {
		e.finish()
	}
	return farewell
}

// failLocked ends the session for what went wrong with a POST.
func (e *session) failLocked(err error) {
	switch {
	case err == nil, errors.Is(err, errTooLarge), errors.Is(err, errEnded):
	case errors.Is(err, errAborted):
		e.dieLocked(abnormal(err.Error()), sayClose)
	case errors.Is(err, errNoMemory):
		e.dieLocked(wire.Close{Code: wire.CloseTryAgainLater, Reason: err.Error()}, sayClose)
	default:
		e.violateLocked("malformed payload")
	}
}

// linger lets a poll come that was sent before the goodbye and is late, so
// that it is told of the end and not refused.
func (e *session) linger(ctx context.Context, farewell chan struct{}) {
	if farewell == nil {
		return
	}
	t := time.NewTimer(farewellWait)
	defer t.Stop()
	select {
	case <-farewell:
		return
	case <-t.C:
	case <-ctx.Done():
	case <-e.srv.quit:
	}
	e.mu.Lock()
	e.polls.farewell = nil
	e.mu.Unlock()
	e.srv.forget(e)
}
