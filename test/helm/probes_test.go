package helm

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestWhatIsProbedAndScrapedIsThere asks a gateway that runs with the settings
// of the chart's defaults for every path that the chart lets the cluster ask for,
// and runs the command of `helm test`.
func TestWhatIsProbedAndScrapedIsThere(t *testing.T) {
	program := build(t)
	out, err := render(t, "-f", filepath.Join(chart, "ci/default-values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	vars := environment(parse(t, out), t.TempDir())
	ports := map[string]string{"public": freePort(t), "admin": freePort(t)}
	vars["HOST"], vars["PORT"], vars["ADMIN_HOST"], vars["ADMIN_PORT"] = "127.0.0.1", ports["public"], "127.0.0.1", ports["admin"]
	vars["DRAIN_DELAY"], vars["DRAIN_WINDOW"] = "0s", "1s"
	vars["AUTH_SERVICE_URL"] = "http://127.0.0.1:1" // nobody is asked
	start(t, program, vars)

	asked := map[string]bool{}
	each(t, func(t *testing.T, _ string, r rendering) {
		gateway := r.gateway().Template.Spec.Containers[0]
		for _, p := range []probe{gateway.StartupProbe, gateway.LivenessProbe, gateway.ReadinessProbe} {
			if p.HTTPGet == nil {
				t.Error("a probe is missing")
				continue
			}
			asked[p.HTTPGet.Port+p.HTTPGet.Path] = true
		}
		for _, m := range append(r.kind("ServiceMonitor"), r.kind("PodMonitor")...) {
			type endpoint struct{ Port, Path string }
			s := spec[struct{ Endpoints, PodMetricsEndpoints []endpoint }](t, m)
			for _, e := range append(s.Endpoints, s.PodMetricsEndpoints...) {
				asked[e.Port+e.Path] = true
			}
		}
		for _, m := range r.kind("Pod") {
			args := spec[pod](t, m).Containers[0].Args
			args[1] = "ws://127.0.0.1:" + ports["public"] + "/ws" + args[1][strings.Index(args[1], "/ws")+len("/ws"):]
			if len(args) == 2 { // an origin is not one of the defaults'
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if said, err := exec.CommandContext(ctx, program, args...).CombinedOutput(); err != nil {
					t.Errorf("helm test: %v: %s", err, said)
				}
			}
		}
	})
	if len(asked) < 3 {
		t.Errorf("only %v", asked)
	}
	for at := range asked {
		port, path, _ := strings.Cut(at, "/")
		if status := get(t, "http://127.0.0.1:"+ports[port]+"/"+path); status != http.StatusOK {
			t.Errorf("%s: status %d", at, status)
		}
	}
}

func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "gateway")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "../../cmd/gateway").CombinedOutput(); err != nil {
		t.Fatalf("build the gateway: %v\n%s", err, out)
	}
	return program
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
}

// start runs a gateway until the test ends, and waits until it is ready.
func start(t *testing.T, program string, vars map[string]string) {
	t.Helper()
	cmd := exec.Command(program)
	for name, value := range vars {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		_ = log.Close()
	})
	url := "http://127.0.0.1:" + vars["ADMIN_PORT"] + "/health/ready"
	for deadline := time.Now().Add(time.Minute); get(t, url) != http.StatusOK; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			said, _ := os.ReadFile(log.Name())
			t.Fatalf("the gateway does not become ready:\n%s", said)
		}
	}
}

// get is the status of a request, 0 when nobody answers.
func get(t *testing.T, url string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return 0
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}
