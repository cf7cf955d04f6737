package balancer

import (
	"context"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/moonx-farm/ws-gateway/test/deploy/traffic"
	"github.com/moonx-farm/ws-gateway/test/npm"
)

// long tells whether the runs that take minutes are wanted.
func long() bool { return os.Getenv("GATEWAY_LONG") == "1" }

// begin starts traffic through the balancer.
func (d *deployment) begin(cfg traffic.Config) *traffic.Traffic {
	d.t.Helper()
	cfg.Address, cfg.Backends, cfg.Key = d.public, []string{d.admin}, apiKey
	ctx, cancel := context.WithTimeout(d.t.Context(), patience)
	defer cancel()
	tr, err := traffic.Start(ctx, cfg)
	if err != nil {
		d.t.Fatal(err)
	}
	return tr
}

// end stops traffic, and looks at what came of it.
func (d *deployment) end(tr *traffic.Traffic) traffic.Report {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(d.t.Context()), patience)
	defer cancel()
	report, err := tr.Stop(ctx)
	if err != nil {
		d.t.Error(err)
	}
	d.t.Log(report)
	return report
}

// restart stops a gateway as an operator does, and starts it again once it has
// ended. It returns how long after the signal everybody was back elsewhere.
func (d *deployment) restart(tr *traffic.Traffic, g *gateway) time.Duration {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), patience)
	defer cancel()
	stopped := make(chan struct{})
	begun := time.Now()
	go func() { // ends with the process, which patience bounds
		defer close(stopped)
		g.term()
	}()
	err := tr.WaitOff(ctx, g.name)
	took := time.Since(begun)
	<-stopped
	if err != nil {
		d.t.Error(err)
	}
	d.run(g)
	return took
}

func TestNobodyMissesAnythingWhileGatewaysBehindTheBalancerAreRestarted(t *testing.T) {
	d := deploy(t, 2, "DRAIN_DELAY=3s", "DRAIN_WINDOW=2s")
	tr := d.begin(traffic.Config{Sockets: 40, Pollers: 12, Rooms: 4, Rate: 5})
	t.Logf("at first: %v", tr.Instances())
	for name, n := range tr.Instances() {
		if n < 13 || n > 39 {
			t.Errorf("%s has %d of 52 clients", name, n)
		}
	}
	t.Logf("all back after %v", d.restart(tr, d.gateways[0]).Round(time.Millisecond))
	if report := d.end(tr); report.Reconnects == 0 {
		t.Error("nobody had to reconnect")
	}
}

// The balancer, the drain and the clients together: a rolling restart of all
// with many clients. Every client is back within the drain and five seconds.
func TestARollingRestartOfAllGatewaysWithManyClients(t *testing.T) {
	if !long() {
		t.Skip("takes minutes: GATEWAY_LONG=1 runs it")
	}
	const clients, window, delay = 2000, 20 * time.Second, 5 * time.Second
	d := deploy(t, 4, "DRAIN_DELAY="+delay.String(), "DRAIN_WINDOW="+window.String(), "PERFORMANCE_MODE=true")
	tr := d.begin(traffic.Config{Sockets: clients - 200, Pollers: 200, Rooms: 20, Rate: 2})
	for _, g := range d.gateways {
		t.Logf("before %s: %v", g.name, tr.Instances())
		took := d.restart(tr, g)
		t.Logf("all back after %v: %v", took.Round(time.Millisecond), tr.Instances())
		if took > delay+window+5*time.Second {
			t.Errorf("only after %v", took)
		}
		if most := slices.Max(slices.Collect(maps.Values(tr.Instances()))); most > clients/2 {
			t.Errorf("an instance has %d of %d clients", most, clients)
		}
	}
	d.end(tr)
}

func TestAGatewayThatComesIntoTheDNSGetsClients(t *testing.T) {
	d := deploy(t, 1)
	ws := dialFrom(t, d, "ann", "")
	d.add()
	seen := map[string]bool{greeting(t, ws).Instance: true}
	d.until("clients come to the second gateway", func() bool {
		ws := dialFrom(t, d, "bob", "")
		seen[greeting(t, ws).Instance] = true
		_ = ws.CloseNow()
		return len(seen) == 2
	})
	_ = ws.CloseNow()
}

func TestThePollsOfASessionGoToTheInstanceThatHasIt(t *testing.T) {
	d := deploy(t, 2)
	for _, c := range []struct {
		name   string
		forget bool
	}{{"with cookies", false}, {"without cookies", true}} {
		t.Run(c.name, func(t *testing.T) {
			before := d.metric("ws_gateway_peer_passed_total")
			tr := d.begin(traffic.Config{Pollers: 10, Rooms: 2, Rate: 10, NoCookies: c.forget})
			d.until("messages are published", func() bool { return tr.Published() >= 40 })
			d.end(tr)
			passed := d.metric("ws_gateway_peer_passed_total") - before
			if c.forget != (passed > 0) {
				t.Errorf("%v requests were passed on", passed)
			}
		})
	}
}

func TestTheAddressOfAClientGetsThroughTheBalancer(t *testing.T) {
	d := deploy(t, 1)
	ws := dialFrom(t, d, "ann", "127.0.0.9")
	defer func() { _ = ws.CloseNow() }()
	var c struct{ Address string }
	d.get("/api/v1/connections/"+url.PathEscape(greeting(t, ws).ConnectionID), &c)
	if c.Address != "127.0.0.9" {
		t.Errorf("the client is said to be at %s", c.Address)
	}
}

func TestTheAddressOfAClientGetsThroughABalancerThatLooksIntoNothing(t *testing.T) {
	d := deploy(t, 1, "PROXY_PROTOCOL=true", "TRUSTED_PROXIES=127.0.0.5")
	d.forward()
	ws := dialFrom(t, d, "ann", "127.0.0.9")
	defer func() { _ = ws.CloseNow() }()
	var c struct{ Address string }
	d.get("/api/v1/connections/"+url.PathEscape(greeting(t, ws).ConnectionID), &c)
	if c.Address != "127.0.0.9" {
		t.Errorf("the client is said to be at %s", c.Address)
	}
}

func TestTheSocketIOLibraryTalksThroughTheBalancer(t *testing.T) {
	d := deploy(t, 2, "SOCKETIO_NAMESPACES=/chat")
	const scripts = "../../e2e/testdata/node"
	script, err := filepath.Abs(filepath.Join(scripts, "clients.js"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", script, d.public)
	cmd.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(npm.Packages(t, "e2e", scripts), "node_modules"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// dialFrom connects a user by way of the balancer, from an address of this
// machine, "" for any.
func dialFrom(t *testing.T, d *deployment, user, from string) *websocket.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	dialer := net.Dialer{}
	if from != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	tr := &http.Transport{DialContext: dialer.DialContext}
	defer tr.CloseIdleConnections()
	ws, _, err := websocket.Dial(ctx, d.public+"/ws", &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: tr}, Subprotocols: []string{"gateway.v1"},
		HTTPHeader: http.Header{"Authorization": {"Bearer " + user}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return ws
}

// connected is the greeting of the gateway.
type connected struct{ ConnectionID, Instance string }

func greeting(t *testing.T, ws *websocket.Conn) connected {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, raw, err := ws.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Event string
		Data  connected
	}
	if err := json.Unmarshal(raw, &m); err != nil || m.Event != "connected" {
		t.Fatalf("the first message is %s (%v)", raw, err)
	}
	return m.Data
}
