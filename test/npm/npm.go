package npm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// installTime bounds one run of npm, which may need the network.
const installTime = 2 * time.Minute

// Packages returns a folder of the user's cache, called name and what the files
// package.json and package-lock.json of from hash to, with their packages, which
// are installed if they are not there. Processes that do so at the same time do
// not disturb each other.
func Packages(t *testing.T, name, from string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	sum := sha256.New()
	for _, name := range []string{"package.json", "package-lock.json"} {
		if files[name], err = os.ReadFile(filepath.Join(from, name)); err != nil {
			t.Fatal(err)
		}
		sum.Write(files[name])
	}
	parent := filepath.Join(cache, "ws-gateway-tests")
	dir := filepath.Join(parent, name+"-"+hex.EncodeToString(sum.Sum(nil)[:8]))
	if there(dir) {
		return dir
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		t.Fatal(err)
	}
	fresh, err := os.MkdirTemp(parent, "new-")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(fresh) }()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(fresh, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	install(t, fresh)
	if err := os.Rename(fresh, dir); err != nil && !there(dir) {
		t.Fatal(err)
	}
	return dir
}

func there(dir string) bool {
	_, err := os.Stat(dir)
	return err == nil
}

// install runs npm, which may need the network, twice at most.
func install(t *testing.T, dir string) {
	t.Helper()
	var out []byte
	var err error
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), installTime)
		cmd := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
		cmd.Dir = dir
		out, err = cmd.CombinedOutput()
		cancel()
		if err == nil {
			return
		}
	}
	t.Fatalf("npm ci (the tests need the packages nodejs and npm): %v\n%s", err, bytes.TrimSpace(out))
}
