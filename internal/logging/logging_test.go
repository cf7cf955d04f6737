package logging

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func logged(t *testing.T, c Config) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	log, err := New(c, f)
	if err != nil {
		t.Fatal(err)
	}
	log.Debug("fine detail")
	log.Info("ready")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAFileGetsJSON(t *testing.T) {
	var entry struct{ Level, Msg, TS string }
	out := logged(t, Config{Level: "info", Format: "auto"})
	if err := json.Unmarshal([]byte(out), &entry); err != nil || entry.Msg != "ready" || entry.Level != "info" || entry.TS == "" {
		t.Fatalf("%q: %+v, %v", out, entry, err)
	}
}

func TestConsoleIsReadableAndWithoutColoursInAFile(t *testing.T) {
	out := logged(t, Config{Level: "debug", Format: "console"})
	if !strings.Contains(out, "DEBUG\tfine detail") || !strings.Contains(out, "INFO\tready") || strings.Contains(out, "\x1b") {
		t.Fatalf("%q", out)
	}
}

func TestBadSettingsAreNamed(t *testing.T) {
	for _, c := range []Config{{Level: "loud", Format: "auto"}, {Level: "panic", Format: "auto"}, {Level: "info", Format: "xml"}} {
		if c.Validate() == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
	if _, err := New(Config{Level: "loud"}, os.Stderr); err == nil {
		t.Error("a logger was made of a bad level")
	}
	if err := (Config{Level: "warn", Format: "json"}).Validate(); err != nil {
		t.Error(err)
	}
}
