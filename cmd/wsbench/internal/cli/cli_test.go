//go:build linux

package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/standin"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/workers"
	"go.uber.org/goleak"
)

// TestMain lets the test's own executable be the helper servers.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (strings.HasSuffix(os.Args[1], "-server") || os.Args[1] == workers.Command) {
		os.Exit(Run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	goleak.VerifyTestMain(m)
}

// wsbench runs it and returns its exit code and output.
func wsbench(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "stderr")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	code = Run(args, strings.NewReader(""), &out, f)
	_, _ = f.Seek(0, io.SeekStart)
	b, _ := io.ReadAll(f)
	_ = f.Close()
	return code, out.String(), string(b)
}

func TestBadCommandLinesExitWith2(t *testing.T) {
	for want, line := range map[string]string{
		"no scenario":            "fly",
		"wsbench measures":       "",
		"not defined":            "idle -wings 2",
		"unexpected argument":    "echo 5",
		"invalid value":          "fanout -members many",
		"only writev":            "fanout -baseline rocket",
		"ping, publish or route": "echo -mode shout",
		"plain or socketio":      "idle -protocol carrier-pigeon",
		"no such file":           "idle -tokens /nowhere",
		"acked, unacked":         "publish -acks perhaps",
		"-subscribers":           "publish -n 3 -subscribers 3",
		"-memberships must":      "mixed -rooms 2",
		"the publishers stay":    "churn -n 500",
		"without -moving":        "mixed -churn-rate 5",
		"want a -rate":           "churn -rate 0",
		"one publisher":          "fanout -rooms 5 -memberships 2 -publishers 2",
		"letters, digits":        "echo -mode route -event {}",
		"needs the -pid":         "drain -sigterm -n 10",
		"descriptors":            "idle -n 100000000",
		"-allow-remote":          "idle -url ws://192.0.2.1/",
	} {
		code, _, stderr := wsbench(t, strings.Fields(line)...)
		if code != Usage || !strings.Contains(stderr, want) {
			t.Errorf("%q: exit %d: %s", line, code, stderr)
		}
	}
}

func TestHelpExitsWith0(t *testing.T) {
	if code, out, _ := wsbench(t, "help"); code != OK || !strings.Contains(out, "wsbench fanout") {
		t.Error(code, out)
	}
	for _, s := range scenarios() {
		if code, _, out := wsbench(t, s.name, "-h"); code != OK || !strings.Contains(out, "-src-addrs") {
			t.Error(s.name, code, out)
		}
	}
}

func TestIdleBesideTheNaiveServer(t *testing.T) {
	srv := httptest.NewServer(&standin.Server{})
	defer srv.Close()
	file := filepath.Join(t.TempDir(), "r.json")
	code, out, stderr := wsbench(t, "idle", "-n", "50", "-settle", "100ms", "-compare-naive", "-json", file,
		"-url", "ws"+strings.TrimPrefix(srv.URL, "http")+"/ws")
	if code != OK || !strings.Contains(out, "naive") {
		t.Fatal(code, out, stderr)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var res report.Result
	if err := json.Unmarshal(b, &res); err != nil || len(res.Runs) != 2 {
		t.Fatal(err, string(b))
	}
	if n := res.Runs[1]; n.Value("RSS growth per connection") <= 0 || n.Value("goroutines after") < 50 {
		t.Errorf("%+v", n.Figures)
	}
}

func TestFanoutBesideTheWritevServer(t *testing.T) {
	srv := httptest.NewServer(&standin.Server{})
	defer srv.Close()
	code, out, stderr := wsbench(t, "fanout", "-members", "20", "-warmup", "100ms", "-duration", "300ms", "-baseline", "writev",
		"-window", "16", "-json", "-", "-url", "ws"+strings.TrimPrefix(srv.URL, "http")+"/ws")
	var res report.Result
	if err := json.Unmarshal([]byte(out), &res); code != OK || err != nil || len(res.Ratios) == 0 {
		t.Fatal(code, err, out, stderr)
	}
	if w := res.Runs[1]; w.Target != "writev" || w.Value("deliveries/s") == 0 || w.Value("lost") != 0 {
		t.Errorf("%+v", w.Figures)
	}
}

func TestAFailedRunExitsWith1(t *testing.T) {
	code, out, _ := wsbench(t, "idle", "-n", "2", "-url", "ws://127.0.0.1:1/ws")
	if code != Failed || !strings.Contains(out, "FAILED") || !strings.Contains(out, "refused") {
		t.Error(code, out)
	}
}

func TestTheUpstreamServerAnswersWithWhatItGot(t *testing.T) {
	stdin, hold := io.Pipe()
	out, stdout := io.Pipe()
	ended := make(chan int, 1)
	go func() { ended <- Run([]string{"upstream-server"}, stdin, stdout, os.Stderr) }() // ended by closing hold, waited for below
	var addr string
	if _, err := fmt.Fscanln(out, &addr); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post("http://"+addr+"/ask", "application/json", strings.NewReader(`{"event":"bench:ask","data":{"x":[1]}}`))
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if string(body) != `{"x":[1]}` {
		t.Errorf("%s", body)
	}
	_ = hold.Close()
	var calls int
	if _, err := fmt.Fscanf(out, "calls %d", &calls); err != nil || calls != 1 {
		t.Error(calls, err)
	}
	_ = out.Close()
	if code := <-ended; code != OK && code != Failed { // our pipe may be gone before the line's end
		t.Error(code)
	}
}
