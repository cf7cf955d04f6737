//go:build linux

package cli

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/standin"
)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAResultBecomesAReportAndIsCompared(t *testing.T) {
	srv := httptest.NewServer(&standin.Server{})
	defer srv.Close()
	dir := t.TempDir()
	result, html := filepath.Join(dir, "r.json"), filepath.Join(dir, "now.html")
	code, out, stderr := wsbench(t, "echo", "-n", "20", "-warmup", "100ms", "-duration", "2500ms", "-rate", "500", "-json", result, "-html", html,
		"-pid", strconv.Itoa(os.Getpid()), "-url", "ws"+strings.TrimPrefix(srv.URL, "http")+"/ws")
	if code != OK {
		t.Fatal(code, out, stderr)
	}
	res, err := fromFile(result, nil)
	if err != nil {
		t.Fatal(err)
	}
	measured := 0
	for _, p := range res.Series {
		if p.Phase == "measure" && p.Connections == 20 && p.Messages > 0 && p.Latency != nil && p.ServerRSS > 0 && p.ClientRSS > 0 {
			measured++
		}
	}
	if measured == 0 || measured > 10 {
		t.Errorf("%d complete points in %+v", measured, res.Series)
	}
	if !strings.Contains(read(t, html), "<svg ") {
		t.Error("no chart in the report")
	}

	code, out, stderr = wsbench(t, "report", result)
	if later := filepath.Join(dir, "r.html"); code != OK || strings.TrimSpace(out) != later || read(t, later) != read(t, html) {
		t.Error("the later report is another", code, out, stderr)
	}
	if code, out, _ = wsbench(t, "report", "-o", "-", result); code != OK || !strings.HasPrefix(out, "<!DOCTYPE html>") {
		t.Error(code, out)
	}
	if code, out, _ = wsbench(t, "compare", result, result); code != OK || !strings.Contains(out, "gateway: replies/s") || strings.Contains(out, "differs") {
		t.Error(code, out)
	}
}

func TestWhatCannotBeReportedOrComparedIsSaid(t *testing.T) {
	other := filepath.Join(t.TempDir(), "other.json")
	if err := os.WriteFile(other, []byte(`{"some":"thing"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		want string
		code int
		line []string
	}{
		{"none of wsbench", Failed, []string{"report", other}},
		{"no such file", Failed, []string{"report", other + "x"}},
		{"RESULT.json", Usage, []string{"report"}},
		{"none of wsbench", Failed, []string{"compare", other, other}},
		{"B / A", Usage, []string{"compare", other}},
		{"read a result: EOF", Failed, []string{"report", "-"}},
	} {
		if code, _, stderr := wsbench(t, test.line...); code != test.code || !strings.Contains(stderr, test.want) {
			t.Errorf("%v: exit %d: %s", test.line, code, stderr)
		}
	}
}

func TestAFileThatCannotBeWrittenIsSaidBeforeTheRun(t *testing.T) {
	for _, name := range []string{"-json", "-html"} {
		code, _, stderr := wsbench(t, "idle", "-n", "1", "-url", "ws://127.0.0.1:1/ws", name, filepath.Join(t.TempDir(), "missing", "file"))
		if code != Usage || !strings.Contains(stderr, "could not be written") {
			t.Errorf("%s: exit %d: %s", name, code, stderr)
		}
	}
}

func TestNoSecretOfAURLIsInAResult(t *testing.T) {
	for given, want := range map[string]string{
		"ws://ann:secret@127.0.0.1:1/ws?token=secret, ws://127.0.0.1:2/ws": "ws://127.0.0.1:1/ws,ws://127.0.0.1:2/ws",
		"http://127.0.0.1:9007/metrics":                                    "http://127.0.0.1:9007/metrics",
		"bench-":                                                           "bench-", "a,b": "a,b", "": "",
	} {
		if got := withoutSecrets(given); got != want {
			t.Errorf("%q: %q, want %q", given, got, want)
		}
	}
}
