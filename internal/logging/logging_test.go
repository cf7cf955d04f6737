package logging

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
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

func TestALogInJSONIsForNoPerson(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err) // every Unix that the gateway is developed on has it
	}
	defer func() { _ = terminal.Close() }()
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for _, c := range []struct {
		format string
		out    *os.File
		want   bool
	}{{"auto", terminal, true}, {"console", terminal, true}, {"json", terminal, false}, {"auto", file, false}, {"console", file, false}} {
		if got := (Config{Format: c.format}).ForPerson(c.out); got != c.want {
			t.Errorf("%s to %s: %v", c.format, c.out.Name(), got)
		}
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

func TestSamplingThinsOutWhatRepeats(t *testing.T) {
	lines := func(sampling bool) int {
		path := filepath.Join(t.TempDir(), "log")
		file, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = file.Close() }()
		synctest.Test(t, func(t *testing.T) { // all within one second
			log, err := New(Config{Level: "info", Format: "json", Sampling: sampling}, file)
			if err != nil {
				t.Fatal(err)
			}
			for range 500 {
				log.Info("again")
			}
			log.Info("once")
		})
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "once") {
			t.Error("another message was thinned out too")
		}
		return strings.Count(string(text), "again")
	}
	if n := lines(false); n != 500 {
		t.Errorf("without sampling %d lines", n)
	}
	if n := lines(true); n != 104 {
		t.Errorf("with sampling %d lines", n)
	}
}
