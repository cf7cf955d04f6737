package policy

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

const open = "version: 1\nrooms: [{match: '**', join: anyone, publish: member}]\n"

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLoadPrefersTheFileAndSaysWhereThePolicyComesFrom(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, path, open)
	if p, source, err := Load(path, Strict); err != nil || source != path || p.Rooms.Lookup("lobby") == nil {
		t.Errorf("file: %q, %v", source, err)
	}
	if p, source, err := Load("", Strict); err != nil || source != "embedded for strict" || p.Rooms.Lookup("lobby") != nil {
		t.Errorf("embedded: %q, %v", source, err)
	}
	if _, _, err := Load(filepath.Join(t.TempDir(), "none"), Minimal); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("missing file: %v", err)
	}
	write(t, path, strings.Repeat("#", MaxDocumentBytes+1))
	if _, _, err := Load(path, Minimal); err == nil {
		t.Error("a document beyond the bound was taken")
	}
}

func TestAChangedFileIsReloadedAndABadOneIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "policy.yaml")
		write(t, path, open)
		p, _, err := Load(path, "")
		if err != nil {
			t.Fatal(err)
		}
		live := NewLive(p)
		signals := make(chan os.Signal)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); NewReloader(path, live, signals, zap.NewNop()).Run(ctx) }()
		synctest.Wait()

		write(t, path, "version: 1\nrooms: [{match: 'shop:*', join: anyone, publish: member}]\n")
		time.Sleep(2 * pollEvery)
		synctest.Wait()
		if live.Lookup("lobby") != nil || live.Lookup("shop:1") == nil {
			t.Error("the changed file was not taken")
		}
		write(t, path, "version: 7\n")
		time.Sleep(2 * pollEvery)
		synctest.Wait()
		if live.Lookup("shop:1") == nil {
			t.Error("a bad file replaced the policy")
		}
		write(t, path, open)
		signals <- os.Interrupt
		synctest.Wait()
		if live.Lookup("lobby") == nil {
			t.Error("the signal did not reload")
		}
		cancel()
		<-done
	})
}
