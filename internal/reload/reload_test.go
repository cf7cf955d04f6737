package reload

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/moonx-farm/ws-gateway/internal/health"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// rig is one source with a file, whose content counts unless it is "bad".
type rig struct {
	t       *testing.T
	path    string
	force   string // what is in force
	w       *Watcher
	signals chan os.Signal
	logs    *observer.ObservedLogs
}

func start(t *testing.T) *rig {
	r := &rig{t: t, path: filepath.Join(t.TempDir(), "file"), force: "one", signals: make(chan os.Signal)}
	write(t, r.path, "one")
	core, logs := observer.New(zap.DebugLevel)
	r.logs = logs
	r.w = New([]Source{{Name: "policy", Files: []string{r.path}, Load: r.load}, {Name: "nothing"}}, r.signals, zap.New(core))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); r.w.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return r
}

func (r *rig) load() error {
	b, err := os.ReadFile(r.path)
	if err != nil {
		return err
	}
	if string(b) == "bad" {
		return errors.New("line 3: want a number")
	}
	r.force = string(b)
	return nil
}

func (r *rig) pass() {
	time.Sleep(every + time.Millisecond)
	synctest.Wait()
}

func (r *rig) expect(what, force string, loaded, failed int64, failing bool) {
	r.t.Helper()
	if r.force != force {
		r.t.Errorf("%s: %q is in force", what, r.force)
	}
	if got := r.w.Stats(); len(got) != 1 || got[0] != (Stat{"policy", loaded, failed, failing}) {
		r.t.Errorf("%s: %+v", what, got)
	}
	var said health.Reason
	err := r.w.Check().Ready(r.t.Context())
	if failing != errors.As(err, &said) || failing && said != "a reload failed: policy" {
		r.t.Errorf("%s: health says %v", what, err)
	}
}

func TestAChangeIsTakenAndABadOneIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.pass()
		r.expect("nothing changed", "one", 0, 0, false)
		write(t, r.path, "three")
		r.pass()
		r.expect("changed", "three", 1, 0, false)
		write(t, r.path, "bad")
		r.pass()
		r.pass()
		r.expect("a bad change", "three", 1, 1, true)
		if n := r.logs.FilterMessageSnippet("stays").Len(); n != 1 {
			t.Errorf("the log says it %d times", n)
		}
		if err := os.Remove(r.path); err != nil {
			t.Fatal(err)
		}
		r.pass()
		r.expect("gone", "three", 1, 2, true)
		write(t, r.path, "mended")
		r.pass()
		r.expect("mended", "mended", 2, 2, false)
	})
}

func TestASignalReadsAtOnceAndAlsoWhatDidNotChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.signals <- os.Interrupt
		synctest.Wait()
		r.expect("a signal", "one", 1, 0, false)
		write(t, r.path, "four")
		r.signals <- os.Interrupt
		synctest.Wait()
		r.expect("a signal after a change", "four", 2, 0, false)
		r.pass()
		r.expect("the change is not read twice", "four", 2, 0, false)
	})
}

func TestWithoutFilesASignalSaysSo(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	New([]Source{{Name: "policy"}}, nil, zap.New(core)).all()
	if all := logs.All(); len(all) != 1 || !strings.HasPrefix(all[0].Message, "nothing to reload") {
		t.Errorf("the log says %v", all)
	}
}
