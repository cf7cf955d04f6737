//go:build linux

package cli

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/standin"
)

func TestWorkersShareARunOut(t *testing.T) {
	srv := httptest.NewServer(&standin.Server{})
	defer srv.Close()
	url := "ws" + strings.TrimPrefix(srv.URL, "http") + "/ws"
	code, out, stderr := wsbench(t, "fanout", "-members", "20", "-rooms", "2", "-workers", "2", "-warmup", "100ms", "-duration", "300ms",
		"-window", "16", "-url", url)
	if code != OK || !strings.Contains(out, "20") || !strings.Contains(out, "offsets rise by one") {
		t.Error(code, out, stderr)
	}
}

func TestBadSharesExitWith2(t *testing.T) {
	for want, line := range map[string]string{
		"-rooms must be at least": "fanout -members 100 -workers 2",
		"worker 1 of 2":           "echo -workers 2 -mode shout",
		"not defined":             "drain -workers 2",
		"NAME=value":              "million -env x",
		"-n 0":                    "million -n 0",
		"unexpected argument":     "million 5",
	} {
		code, _, stderr := wsbench(t, strings.Fields(line)...)
		if code != Usage || !strings.Contains(stderr, want) {
			t.Errorf("%q: exit %d: %s", line, code, stderr)
		}
	}
	if code, _, out := wsbench(t, "million", "-h"); code != OK || !strings.Contains(out, "-per-process") {
		t.Error(code, out)
	}
}
