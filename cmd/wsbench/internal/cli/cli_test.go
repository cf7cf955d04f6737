//go:build linux

package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/standin"
	"go.uber.org/goleak"
)

// TestMain lets the test's own executable be the helper servers.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && strings.HasSuffix(os.Args[1], "-server") {
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
		"no scenario":         "fly",
		"wsbench measures":    "",
		"not defined":         "idle -wings 2",
		"unexpected argument": "echo 5",
		"invalid value":       "fanout -members many",
		"only writev":         "fanout -baseline rocket",
		"ping or publish":     "echo -mode shout",
		"needs the -pid":      "drain -sigterm -n 10",
		"descriptors":         "idle -n 100000000",
		"-allow-remote":       "idle -url ws://192.0.2.1/",
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
