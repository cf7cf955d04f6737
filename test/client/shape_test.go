package client

import (
	"bytes"
	"compress/gzip"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/moonx-farm/ws-gateway/test/npm"
)

// mostBytes is the most that the client may have, minified and compressed.
const mostBytes = 10 << 10

const files = "../../internal/console/client"

func TestTheTypesOfTheClientAreThoseOfItsCode(t *testing.T) {
	t.Parallel()
	packages := npm.Packages(t, "client", "testdata/node")
	dir := t.TempDir()
	for name, from := range map[string]string{
		"sample.ts": "testdata/node/sample.ts", "client.js": files + "/client.js", "client.d.ts": files + "/client.d.ts",
	} {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tool(t, filepath.Join(packages, "node_modules/typescript/bin/tsc"), "--noEmit", "--strict", "--target", "es2022",
		"--module", "nodenext", "--lib", "es2022,dom", filepath.Join(dir, "sample.ts"))
	g := newGateway(t)
	start(t, "types.mjs", g.arguments(nil)).finish(nil)
}

func TestTheClientIsSmall(t *testing.T) {
	t.Parallel()
	packages := npm.Packages(t, "client", "testdata/node")
	small := tool(t, filepath.Join(packages, "node_modules/terser/bin/terser"), files+"/client.js", "--module", "--compress", "--mangle")
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(small); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes minified, %d with gzip", len(small), packed.Len())
	if packed.Len() > mostBytes {
		t.Errorf("the client has %d bytes, minified and with gzip; want %d at most", packed.Len(), mostBytes)
	}
}

// tool runs a program of a package and returns its output.
func tool(t *testing.T, path string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), scriptTime)
	defer cancel()
	out, err := exec.CommandContext(ctx, "node", append([]string{path}, args...)...).Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", filepath.Base(path), err, out)
	}
	return out
}
