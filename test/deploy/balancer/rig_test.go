package balancer

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/test/testbed"
)

const (
	// patience bounds every wait for something that must happen.
	patience = time.Minute

	apiKey = "a key of this test's backend"
)

// process is a program that runs until the test ends.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	log   *testbed.Output
	ended chan struct{} // closed when it has ended
}

func start(t *testing.T, environ []string, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, log: &testbed.Output{}, ended: make(chan struct{}), cmd: exec.Command(name, args...)}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr, p.cmd.SysProcAttr = environ, p.log, p.log, testbed.Attributes()
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("%v: the tests need the packages haproxy and redis-server", err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // the exit code is looked at by whoever asks it to end
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // does nothing to one that has ended
		<-p.ended
		if t.Failed() {
			t.Logf("%s %s said:\n%s", filepath.Base(name), strings.Join(args, " "), p.log)
		}
	})
	return p
}

// term asks a process to stop, and waits until it has.
func (p *process) term() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Fatal("the process does not end")
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		p.t.Errorf("the gateway ended with code %d", code)
	}
}

// deployment is a balancer, gateways behind it, and their Redis.
type deployment struct {
	t              *testing.T
	environ        []string // of every gateway
	names          *names
	gateways       []*gateway
	public, admin  string // URLs of the balancer
	port, adminFor int    // of every gateway
	network        byte   // gateways are at 127.100.network.1 and so on
}

// gateway is one instance.
type gateway struct {
	name string
	addr netip.Addr
	*process
}

// deploy starts so many gateways, and the balancer, and waits until it serves.
func deploy(t *testing.T, gateways int, environ ...string) *deployment {
	t.Helper()
	redis := redistest.Single(t, "--appendonly", "yes", "--maxmemory-policy", "noeviction")
	d := &deployment{
		t: t, names: serveNames(t), environ: append([]string{"REDIS_URL=redis://" + redis.Addr()}, environ...),
		network: byte(1 + rand.IntN(250)), port: testbed.FreePort(t), adminFor: testbed.FreePort(t),
	}
	for range gateways {
		d.add()
	}
	d.balance()
	return d
}

// add starts one more gateway, and names it to the balancer once it is ready.
func (d *deployment) add() *gateway {
	d.t.Helper()
	n := len(d.gateways) + 1
	g := &gateway{name: fmt.Sprintf("gateway-%d", n), addr: netip.AddrFrom4([4]byte{127, 100, d.network, byte(n)})}
	d.gateways = append(d.gateways, g)
	d.run(g)
	d.tell()
	return g
}

// run starts a gateway, and waits until it is ready.
func (d *deployment) run(g *gateway) {
	d.t.Helper()
	g.process = start(d.t, append([]string{
		"HOST=" + g.addr.String(), fmt.Sprintf("PORT=%d", d.port), "ADMIN_HOST=" + g.addr.String(), fmt.Sprintf("ADMIN_PORT=%d", d.adminFor),
		"INSTANCE_ID=" + g.name, "AUTH_MODE=development", "ADMIN_API_KEYS=" + apiKey, "TRUSTED_PROXIES=127.0.0.1",
		"LOG_FORMAT=json", "GORACE=atexit_sleep_ms=0",
	}, d.environ...), program)
	d.until(g.name+" is ready", func() bool {
		return d.status(fmt.Sprintf("http://%s/health/ready", netip.AddrPortFrom(g.addr, uint16(d.port)))) == http.StatusOK
	})
}

// tell puts the addresses of all gateways into the DNS.
func (d *deployment) tell() {
	var all []netip.Addr
	for _, g := range d.gateways {
		all = append(all, g.addr)
	}
	d.names.set(all...)
}

// balance starts HAProxy with the configuration of docker-compose.yml.
func (d *deployment) balance() {
	d.t.Helper()
	public, admin := fmt.Sprintf("127.0.0.1:%d", testbed.FreePort(d.t)), fmt.Sprintf("127.0.0.1:%d", testbed.FreePort(d.t))
	d.public, d.admin = "http://"+public, "http://"+admin
	start(d.t, append(os.Environ(),
		"CLIENTS_BIND="+public, "ADMIN_BIND="+admin, "DNS_SERVER="+d.names.conn.LocalAddr().String(),
		fmt.Sprintf("GATEWAY_PORT=%d", d.port), fmt.Sprintf("GATEWAY_ADMIN_PORT=%d", d.adminFor),
	), haproxy(), "-db", "-f", "../../../config/deploy/haproxy/haproxy.cfg")
	for _, url := range []string{d.public, d.admin} {
		d.until("the balancer serves at "+url, func() bool { return d.status(url+"/health/ready") == http.StatusOK })
	}
}

// forward starts a balancer that forwards TCP, and takes its address for the
// public one.
func (d *deployment) forward() {
	d.t.Helper()
	public := fmt.Sprintf("127.0.0.1:%d", testbed.FreePort(d.t))
	d.public = "http://" + public
	start(d.t, append(os.Environ(),
		"CLIENTS_BIND="+public, "GATEWAY="+netip.AddrPortFrom(d.gateways[0].addr, uint16(d.port)).String(),
	), haproxy(), "-db", "-f", "testdata/tcp.cfg")
	d.until("the balancer serves", func() bool { return d.status(d.public+"/health/ready") == http.StatusOK })
}

// haproxy is the program, which is not in everybody's path.
func haproxy() string {
	if path, err := exec.LookPath("haproxy"); err == nil {
		return path
	}
	return "/usr/sbin/haproxy"
}

// status asks for a page, 0 when nobody answers.
func (d *deployment) status(url string) int {
	status, _ := d.ask(url)
	return status
}

// ask gets a page with the backend's key.
func (d *deployment) ask(url string) (int, []byte) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		d.t.Error(err)
		return 0, nil
	}
	req.Header.Set("Authorization", "Bearer "+apiKey)
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return 0, nil
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil
	}
	return resp.StatusCode, body
}

// get reads an answer of the server API, by way of the balancer.
func (d *deployment) get(path string, into any) {
	d.t.Helper()
	status, body := d.ask(d.admin + path)
	if err := json.Unmarshal(body, into); status != http.StatusOK || err != nil {
		d.t.Fatalf("GET %s: %d %v: %s", path, status, err, body)
	}
}

// metric sums a metric of all gateways.
func (d *deployment) metric(name string) (sum float64) {
	d.t.Helper()
	for _, g := range d.gateways {
		status, body := d.ask(fmt.Sprintf("http://%s/metrics", netip.AddrPortFrom(g.addr, uint16(d.adminFor))))
		if status != http.StatusOK {
			d.t.Fatalf("metrics of %s: %d", g.name, status)
		}
		found := false
		for line := range strings.Lines(string(body)) {
			var value float64
			if key, text, _ := strings.Cut(line, " "); key == name {
				if _, err := fmt.Sscan(text, &value); err != nil {
					d.t.Fatal(err)
				}
				sum, found = sum+value, true
			}
		}
		if !found {
			d.t.Fatalf("%s has no metric %s", g.name, name)
		}
	}
	return sum
}

// until waits until something holds.
func (d *deployment) until(what string, holds func() bool) {
	d.t.Helper()
	for begun := time.Now(); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Since(begun) > patience {
			d.t.Fatalf("waited %v in vain until %s", patience, what)
		}
	}
}
