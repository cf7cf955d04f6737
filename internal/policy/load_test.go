package policy

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
	if _, _, err := Load(t.TempDir(), Minimal); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("a folder: %v", err)
	}
	write(t, path, strings.Repeat("#", MaxDocumentBytes+1))
	if _, _, err := Load(path, Minimal); err == nil {
		t.Error("a document beyond the bound was taken")
	}
}

func TestAPolicyThatAsksNeedsSomebodyToAsk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, path, "version: 1\nrooms: [{match: 'deal:*', join: ask, publish: member}]\n")
	if _, _, err := (Config{File: path}).Load(Minimal); err == nil || !strings.Contains(err.Error(), "join: ask") {
		t.Errorf("with nobody to ask: %v", err)
	}
	if p, _, err := (Config{File: path, CanAsk: true}).Load(Minimal); err != nil || p.Rooms.Lookup("deal:1").Join != Ask {
		t.Errorf("with somebody to ask: %v", err)
	}
	for _, level := range []string{Minimal, Standard, Strict} {
		if _, _, err := (Config{}).Load(level); err != nil {
			t.Errorf("the policy of %s asks: %v", level, err)
		}
	}
}

func TestAPolicyWithStreamsNeedsARedis(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, path, "version: 1\nrooms: [{match: a, join: ask, publish: member}]\nroutes: [{match: order, stream: {name: orders}}]\n")
	_, _, err := (Config{File: path}).Load(Minimal)
	if err == nil || !strings.Contains(err.Error(), "there is no Redis: set REDIS_HOST or REDIS_URL") || !strings.Contains(err.Error(), "join: ask") {
		t.Errorf("without both: %v", err)
	}
	if p, _, err := (Config{File: path, CanAsk: true, HasStreams: true}).Load(Minimal); err != nil || p.Routes.Lookup("order").Stream.Name != "orders" {
		t.Errorf("with both: %v", err)
	}
	live := NewLive(&Policy{})
	if err := live.Reload(Config{File: path, CanAsk: true}); !errors.Is(err, errNoStreams) || live.Routes() != nil {
		t.Errorf("reloaded: %v", err)
	}
}

func TestAChangedFileIsReloadedAndABadOneIsNot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, path, open)
	p, _, err := Load(path, "")
	if err != nil {
		t.Fatal(err)
	}
	live, cfg := NewLive(p), Config{File: path}
	write(t, path, "version: 1\nrooms: [{match: 'shop:*', join: anyone, publish: member}]\n")
	if err := live.Reload(cfg); err != nil || live.Lookup("lobby") != nil || live.Lookup("shop:1") == nil {
		t.Errorf("the changed file was not taken: %v", err)
	}
	if f := live.InForce(); f.Source != path || !strings.Contains(f.Text, "shop:*") || f.Since.IsZero() {
		t.Errorf("in force is %+v", f)
	}
	for name, text := range map[string]string{
		"faulty":               "version: 7\n",
		"asking without asker": "version: 1\nrooms: [{match: '**', join: ask, publish: member}]\n",
	} {
		write(t, path, text)
		if err := live.Reload(cfg); err == nil || live.Lookup("shop:1") == nil || live.Lookup("lobby") != nil {
			t.Errorf("%s: a bad file replaced the policy, or was not said to be bad: %v", name, err)
		}
	}
	if f := live.InForce(); !strings.Contains(f.Text, "shop:*") {
		t.Errorf("after bad files, in force is %+v", f)
	}
}
