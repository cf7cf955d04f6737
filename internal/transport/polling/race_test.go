package polling

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/transport/pipe"
	"github.com/moonx-farm/ws-gateway/internal/wheel"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// slowly is a WebSocket transport that is held up between its answer to the
// client and Open.
type slowly struct {
	answered chan struct{}
	goOn     chan struct{}
	client   *pipe.Client
}

func (s *slowly) Accept(req transport.Request) error {
	close(s.answered)
	<-s.goOn
	s.client = pipe.New(req.Open)
	return nil
}

// hangsUp is a client that closes its connection as soon as it has read an
// answer.
type hangsUp struct {
	*httptest.ResponseRecorder
	close context.CancelFunc
}

func (h hangsUp) FlushError() error {
	h.close()
	return nil
}

func (h hangsUp) SetReadDeadline(time.Time) error  { return nil }
func (h hangsUp) SetWriteDeadline(time.Time) error { return nil }

// byHand is a server whose requests are made without a network.
func byHand(t *testing.T, cfg Config, f func(below *slowly, ask func(method, query string) hangsUp, open func() string)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := wheel.New()
		w.Start()
		defer w.Stop()
		below := &slowly{answered: make(chan struct{}), goOn: make(chan struct{})}
		s := New(cfg, below, w, zap.NewNop())
		defer func() { _ = s.Shutdown(t.Context()) }()
		request := func(method, query string) (hangsUp, *http.Request) {
			ctx, cancel := context.WithCancel(t.Context())
			r := httptest.NewRequestWithContext(ctx, method, base+query, strings.NewReader("4hello"))
			if query[0] == 'w' {
				r.Header.Set("Upgrade", "websocket")
			}
			return hangsUp{httptest.NewRecorder(), cancel}, r
		}
		ask := func(method, query string) hangsUp {
			w, r := request(method, query)
			s.Continue(w, r)
			w.close()
			return w
		}
		open := func() string {
			w, r := request(http.MethodGet, "polling")
			if err := s.Accept(transport.Request{W: w, R: r, Open: func(transport.Conn) transport.Handler { return leanHandler{} }}); err != nil {
				t.Fatal(err)
			}
			return parseOpen(t, w.Body.String()).SID
		}
		f(below, ask, open)
	})
}

func TestAClientMayHangUpOnceItHasReadAnAnswer(t *testing.T) {
	byHand(t, Config{}, func(_ *slowly, ask func(string, string) hangsUp, open func() string) {
		if got := ask(http.MethodPost, "polling&sid="+open()); got.Code != http.StatusOK {
			t.Errorf("the session is over: %d %s", got.Code, got.Body)
		}
	})
}

func TestAPollIsRefusedThatCameBeforeTheWebSocketWasKnown(t *testing.T) {
	byHand(t, Config{}, func(below *slowly, ask func(string, string) hangsUp, open func() string) {
		sid := open()
		go ask(http.MethodGet, "websocket&sid="+sid)
		<-below.answered
		poll := make(chan hangsUp)
		go func() { poll <- ask(http.MethodGet, "polling&sid="+sid) }()
		synctest.Wait()
		close(below.goOn)
		synctest.Wait()
		below.client.Text("2probe")
		below.client.Text("5")
		if got := <-poll; got.Code != http.StatusBadRequest {
			t.Errorf("the poll got %d %s", got.Code, got.Body)
		}
		below.client.Close(wire.Close{})
		below.client.Wait()
	})
}

func TestAnUpgradeThatIsGivenUpHoldsNoPoll(t *testing.T) {
	byHand(t, Config{PingInterval: time.Second}, func(below *slowly, ask func(string, string) hangsUp, open func() string) {
		close(below.goOn)
		sid := open()
		ask(http.MethodGet, "websocket&sid="+sid)
		poll := make(chan hangsUp)
		go func() { poll <- ask(http.MethodGet, "polling&sid="+sid) }()
		synctest.Wait()
		below.client.Close(wire.Close{})
		begun := time.Now()
		if got := <-poll; got.Code != http.StatusOK || got.Body.String() != "2" || time.Since(begun) < time.Second/2 {
			t.Errorf("the poll got %d %s after %v", got.Code, got.Body, time.Since(begun))
		}
		below.client.Wait()
	})
}

func TestPingsComeOnTimeWhenTheirAnswersMayTakeLonger(t *testing.T) {
	inBubble(t, Config{PingInterval: 300 * time.Millisecond, PingTimeout: 5 * time.Second}, func(t *testing.T, r *rig) {
		c := r.connect()
		for range 3 {
			begin := time.Now()
			c.expectGet("2")
			expectTime(t, "ping", begin, 300*time.Millisecond, 0)
			c.expectPost("3")
		}
	})
}
