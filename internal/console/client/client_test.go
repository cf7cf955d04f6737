package client_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/console/client"
)

func ask(method, path string, header ...string) *http.Response {
	req := httptest.NewRequest(method, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	client.New().ServeHTTP(rec, req)
	return rec.Result()
}

func TestAnyPageMayImportTheClientAndItsTypes(t *testing.T) {
	for path, mediaType := range map[string]string{
		client.ScriptPath: "text/javascript; charset=utf-8",
		client.TypesPath:  "application/typescript; charset=utf-8",
	} {
		res := ask(http.MethodGet, path)
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK || !strings.Contains(string(body), "export function connect(") {
			t.Errorf("%s: %d, %v", path, res.StatusCode, err)
		}
		for name, want := range map[string]string{
			"Content-Type": mediaType, "Access-Control-Allow-Origin": "*", "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff",
		} {
			if got := res.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		if again := ask(http.MethodGet, path, "If-None-Match", res.Header.Get("ETag")); again.StatusCode != http.StatusNotModified {
			t.Errorf("%s: asked again: %d", path, again.StatusCode)
		}
	}
}

func TestNothingElseIsServed(t *testing.T) {
	if res := ask(http.MethodGet, "/client.mjs"); res.StatusCode != http.StatusNotFound {
		t.Errorf("another path: %d", res.StatusCode)
	}
	if res := ask(http.MethodPost, client.ScriptPath); res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d, Allow %q", res.StatusCode, res.Header.Get("Allow"))
	}
	if res := ask(http.MethodHead, client.ScriptPath); res.StatusCode != http.StatusOK {
		t.Errorf("HEAD: %d", res.StatusCode)
	}
}
