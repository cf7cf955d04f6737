package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/limit"
	"github.com/moonx-farm/ws-gateway/internal/transport/pipe"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestConnectionsAreHandedOffEvenlyAndToldWhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{}
		g := c.gateway(t, Config{})
		g.UseElsewhere(func() string { return "wss://b.example/ws" })
		var clients []*pipe.Client
		for range 400 {
			clients = append(clients, c.join())
		}
		done := make(chan int, 1)
		go func() { done <- g.HandOff(t.Context(), 200, 10*time.Second) }()
		time.Sleep(5*time.Second + drainTick/2)
		if n := c.Count(); n < 295 || n > 305 {
			t.Errorf("%d of 400 are left after half the time", n)
		}
		if told := <-done; told != 200 || c.Count() != 200 {
			t.Errorf("%d told, %d left", told, c.Count())
		}
		ended := 0
		for _, client := range clients {
			why, gone := client.Ended()
			if !gone {
				continue
			}
			ended++
			frames := client.Sent()
			if why.Code != wire.CloseServiceRestart || why.Reason != "rebalance" || len(frames) != 1 ||
				!strings.Contains(string(frames[0].Payload()), `"event":"reconnect","data":{"reason":"rebalance","afterMs":`) ||
				!strings.Contains(string(frames[0].Payload()), `"url":"wss://b.example/ws"`) {
				t.Fatalf("ended with %+v after %d frames", why, len(frames))
			}
		}
		if ended != 200 {
			t.Errorf("%d have ended", ended)
		}
		if g.Ready(t.Context()) != nil {
			t.Error("not ready after a hand-off")
		}
		if told := g.HandOff(t.Context(), 1000, time.Second); told != 200 {
			t.Errorf("%d of 200 told", told)
		}
		if told := g.HandOff(t.Context(), -1, 0); told != 0 {
			t.Errorf("%d told", told)
		}
		for _, client := range clients {
			client.Wait()
		}
	})
}

func TestAHandOffEndsWithItsContextAndWithADrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{}
		g := c.gateway(t, Config{DrainDelay: time.Hour})
		var clients []*pipe.Client
		for range 100 {
			clients = append(clients, c.join())
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if told := g.HandOff(ctx, 100, 10*time.Second); told < 8 || told > 12 {
			t.Errorf("%d told in a tenth of the time", told)
		}
		time.AfterFunc(time.Second, func() { g.BeginDrain() })
		if told := g.HandOff(t.Context(), 50, 10*time.Second); told < 3 || told > 8 {
			t.Errorf("%d told before the drain", told)
		}
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := g.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the drain: %v", err)
		}
		for _, client := range clients {
			client.Close(wire.Close{})
			client.Wait()
		}
	})
}

func TestADrainBeginsOnceAndIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{}
		g := c.gateway(t, Config{DrainDelay: 2 * time.Second, DrainWindow: time.Second})
		heard := 0
		g.OnDrain(func() {
			if heard++; !g.Standing().Draining {
				t.Error("told of a drain before it is one")
			}
		})
		client := c.join()
		if !g.BeginDrain() || g.BeginDrain() {
			t.Error("it began more than once, or never")
		}
		if g.Ready(t.Context()) == nil {
			t.Error("ready while draining")
		}
		begun := time.Now()
		if err := g.Drain(t.Context()); err != nil || c.Count() != 0 {
			t.Errorf("%v, %d left", err, c.Count())
		}
		if took := time.Since(begun); took < 2*time.Second {
			t.Errorf("it ended after %v", took)
		}
		begun = time.Now()
		if err := g.Drain(t.Context()); err != nil || time.Since(begun) != 0 {
			t.Errorf("a drain after it took %v: %v", time.Since(begun), err)
		}
		if want := []string{"hold", "quiesce"}; heard != 1 || !slices.Equal(c.steps, want) {
			t.Errorf("told %d times, steps %v", heard, c.steps)
		}
		client.Wait()
	})
}

func TestWhoIsLeftAfterADrainIsToldOnceMoreAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{stay: true}
		g := c.gateway(t, Config{})
		client := c.join()
		g.BeginDrain()
		time.Sleep(time.Minute) // it has given up by now
		time.AfterFunc(time.Second, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			clear(c.sessions)
		})
		if err := g.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		client.Wait()
	})
}

func TestWhatAGatewayCarries(t *testing.T) {
	s := &stage{count: 4, budget: 1 << 60}
	g := s.gateway(t, Config{}, false)
	got := g.Standing()
	if got.Connections != 4 || got.Capacity != 10 || got.Memory <= 0 || got.MemoryLimit != 1<<60 || got.Full || got.Draining {
		t.Errorf("%+v", got)
	}
	g.handshakes.Add(6)
	if !g.Standing().Full {
		t.Error("not full with as many handshakes as places")
	}
	s = &stage{budget: 1}
	if g = s.gateway(t, Config{}, false); !g.Standing().Full {
		t.Error("not full above the memory budget")
	}
}

func TestWhichPagesMayAskWhereToConnect(t *testing.T) {
	plain := func(change ...func(*http.Request)) *http.Request {
		r := httptest.NewRequest(http.MethodGet, "http://localhost:3007/connect", nil)
		r.RemoteAddr = "127.0.0.1:5555"
		for _, f := range change {
			f(r)
		}
		return r
	}
	const page = "https://a.example"
	for _, c := range []struct {
		name     string
		cfg      Config
		loopback bool
		request  *http.Request
		status   int // 0: may
		allowed  string
	}{
		{name: "no browser", request: plain()},
		{name: "no browser, at strict", cfg: Config{SecurityLevel: "strict"}, request: plain(func(r *http.Request) { r.TLS = &tls.ConnectionState{} })},
		{name: "plain HTTP at strict", cfg: Config{SecurityLevel: "strict"}, request: plain(), status: 403},
		{name: "a listed page", cfg: Config{AllowedOrigins: []string{page}}, request: plain(with("Origin", page)), allowed: page},
		{name: "a foreign page", cfg: Config{AllowedOrigins: []string{page}}, request: plain(with("Origin", "https://b.example")), status: 403},
		{name: "another name", cfg: Config{AllowedHosts: []string{"gw.example"}}, request: plain(), status: 421},
		{name: "development for a remote peer", loopback: true, request: plain(remote), status: 403},
	} {
		s := &stage{limits: limit.Config{}}
		g := s.gateway(t, c.cfg, c.loopback)
		w := httptest.NewRecorder()
		ok := g.Screen(w, c.request)
		if ok != (c.status == 0) || !ok && w.Code != c.status {
			t.Errorf("%s: %v, %d", c.name, ok, w.Code)
		}
		if got := w.Header().Get("Access-Control-Allow-Origin"); got != c.allowed || w.Header().Get("Vary") != "Origin" {
			t.Errorf("%s: %v", c.name, w.Header())
		}
		for reason, n := range g.Refused() {
			if n != 0 {
				t.Errorf("%s: counted as a refused connection: %s", c.name, reason)
			}
		}
	}
}

func TestTheURLIsThatOfTheClientsOwnConnection(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*http.Request)
		want   string
	}{
		{"plain", func(*http.Request) {}, "ws://gw.example:3007/ws"},
		{"TLS", func(r *http.Request) { r.TLS = &tls.ConnectionState{} }, "wss://gw.example:3007/ws"},
		{"a proxy that encrypts", with("X-Forwarded-Proto", "https"), "wss://gw.example:3007/ws"},
		{"a proxy that does not", with("X-Forwarded-Proto", "http"), "ws://gw.example:3007/ws"},
		{"one that speaks the other header", with("Forwarded", `for=1.2.3.4;proto=https`), "wss://gw.example:3007/ws"},
		{"a page that was encrypted", with("Origin", "https://a.example"), "wss://gw.example:3007/ws"},
		{"a page that was not", with("Origin", "http://a.example"), "ws://gw.example:3007/ws"},
	} {
		r := httptest.NewRequest(http.MethodGet, "http://gw.example:3007/connect", nil)
		c.change(r)
		if got := PublicURL(r); got != c.want {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}
