package main

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// answers upgrades, greets with a message, and goes on with frames.
func answers(t *testing.T, protocol string, frames ...string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Origin") == "https://elsewhere.example" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + acceptGUID))
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
			"Sec-WebSocket-Protocol: " + protocol + "\r\nSec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n" +
			"\x81\x7e\x00\x80" + strings.Repeat("x", 128))
		_ = rw.Flush()
		if len(frames) == 0 {
			_, _ = io.Copy(io.Discard, rw) // silent until the client goes
		}
		for _, frame := range frames {
			if _, err := rw.Discard(6 + 2); err != nil { // of a control frame
				return
			}
			if frame == "\x8a\x05probe" {
				_, _ = rw.Discard(3)
			}
			if _, err := net.Conn.Write(conn, []byte(frame)); err != nil {
				return
			}
		}
	}))
	t.Cleanup(s.Close)
	return strings.Replace(s.URL, "http", "ws", 1)
}

func TestAProbeIsContentWithAnswersToPingAndClose(t *testing.T) {
	if code := probe(answers(t, probeProtocol, "\x8a\x05probe", "\x88\x02\x03\xe8"), ""); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

func TestAProbeFindsWhatIsNoGateway(t *testing.T) {
	for name, fail := range map[string][2]string{
		"nobody listens":      {"ws://127.0.0.1:1/ws", ""},
		"another protocol":    {answers(t, "chat", "\x8a\x05probe", "\x88\x02\x03\xe8"), ""},
		"an origin not liked": {answers(t, probeProtocol), "https://elsewhere.example"},
		"a close at once":     {answers(t, probeProtocol, "\x88\x02\x03\xf5"), ""},
		"nonsense":            {"ws://%", ""},
	} {
		if code := probe(fail[0], fail[1]); code != exitFailed {
			t.Errorf("%s: exit code %d", name, code)
		}
	}
}

func TestAProbeDoesNotWaitForSilence(t *testing.T) {
	url := answers(t, probeProtocol)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := openAndClose(ctx, url, ""); err == nil {
		t.Error("nothing was answered")
	}
}

func TestAProbeWantsAnAddress(t *testing.T) {
	for _, args := range [][]string{{"probe"}, {"probe", "ws://a", "http://b", "c"}, {"config", "x"}} {
		if name, _ := named(args); name != "" {
			t.Errorf("%v: %q", args, name)
		}
	}
}
