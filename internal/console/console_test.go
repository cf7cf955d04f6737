package console_test

import (
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/console"
)

// get asks a console with the given settings.
func get(t *testing.T, cfg console.Config, method, target, host string, header ...string) *http.Response {
	t.Helper()
	req := httptest.NewRequest(method, target, nil)
	req.Host = host
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	console.New(cfg).ServeHTTP(rec, req)
	return rec.Result()
}

func body(t *testing.T, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// paths are the files by path, with their types: those of the folder, whatever
// they are.
var paths = func() map[string]string {
	all := map[string]string{"/": "text/html; charset=utf-8", "/console.json": "application/json"}
	types := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
	_ = filepath.WalkDir("assets", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && filepath.Base(path) != "index.html" {
			all["/console/"+strings.TrimPrefix(filepath.ToSlash(path), "assets/")] = types[filepath.Ext(path)]
		}
		return err
	})
	return all
}()

func TestTheFilesOfEveryViewAreServed(t *testing.T) {
	for _, view := range []string{"try", "live", "lookup", "settings"} {
		for _, end := range []string{".js", ".css"} {
			if path := "/console/views/" + view + end; paths[path] == "" {
				t.Errorf("there is no %s", path)
			}
		}
	}
}

func TestEveryFileIsServedWithItsTypeAndTheSameSafeHeaders(t *testing.T) {
	for path, mediaType := range paths {
		t.Run(path, func(t *testing.T) {
			res := get(t, console.Config{PublicPort: 3007}, http.MethodGet, path, "localhost:9007")
			if res.StatusCode != http.StatusOK {
				t.Fatalf("status %d", res.StatusCode)
			}
			want := map[string]string{
				"Content-Type": mediaType,
				"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
					"connect-src 'self' ws://localhost:3007; base-uri 'none'; frame-ancestors 'none'; form-action 'none'",
				"X-Content-Type-Options":       "nosniff",
				"Referrer-Policy":              "no-referrer",
				"Cross-Origin-Resource-Policy": "same-origin",
				"Cache-Control":                "no-cache",
			}
			for name, value := range want {
				if got := res.Header.Get(name); got != value {
					t.Errorf("%s is %q, want %q", name, got, value)
				}
			}
			if body(t, res) == "" {
				t.Error("the body is empty")
			}
		})
	}
}

func TestAnUnchangedFileIsNotSentAgain(t *testing.T) {
	for path := range paths {
		t.Run(path, func(t *testing.T) {
			etag := get(t, console.Config{}, http.MethodGet, path, "localhost").Header.Get("ETag")
			if !regexp.MustCompile(`^"[\w-]{16}"$`).MatchString(etag) {
				t.Fatalf("ETag %q", etag)
			}
			same := get(t, console.Config{}, http.MethodGet, path, "localhost", "If-None-Match", etag)
			if same.StatusCode != http.StatusNotModified || body(t, same) != "" {
				t.Errorf("with its own ETag: status %d", same.StatusCode)
			}
			if same.Header.Get("Content-Security-Policy") == "" {
				t.Error("a 304 has no policy")
			}
			other := get(t, console.Config{}, http.MethodGet, path, "localhost", "If-None-Match", `"AAAAAAAAAAAAAAAA"`)
			if other.StatusCode != http.StatusOK {
				t.Errorf("with another ETag: status %d", other.StatusCode)
			}
		})
	}
}

func TestOtherSettingsHaveAnotherETag(t *testing.T) {
	one := get(t, console.Config{PublicPort: 1}, http.MethodGet, "/console.json", "localhost").Header.Get("ETag")
	two := get(t, console.Config{PublicPort: 2}, http.MethodGet, "/console.json", "localhost").Header.Get("ETag")
	if one == two {
		t.Errorf("both have %s", one)
	}
}

func TestHeadHasTheHeadersOfGetAndNoBody(t *testing.T) {
	res := get(t, console.Config{}, http.MethodHead, "/", "localhost")
	if res.StatusCode != http.StatusOK || res.Header.Get("ETag") == "" || res.Header.Get("Content-Length") == "0" {
		t.Errorf("status %d, headers %v", res.StatusCode, res.Header)
	}
	if b := body(t, res); b != "" {
		t.Errorf("body of %d bytes", len(b))
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		method, target, host string
		status               int
	}{
		"POST to the page":                {http.MethodPost, "/", "localhost", http.StatusMethodNotAllowed},
		"PUT to the settings":             {http.MethodPut, "/console.json", "localhost", http.StatusMethodNotAllowed},
		"OPTIONS":                         {http.MethodOptions, "/", "localhost", http.StatusMethodNotAllowed},
		"an unknown path":                 {http.MethodGet, "/index.html", "localhost", http.StatusNotFound},
		"the folder of the files":         {http.MethodGet, "/console/", "localhost", http.StatusNotFound},
		"a path out of the folder":        {http.MethodGet, "/console/../console.go", "localhost", http.StatusNotFound},
		"a favicon":                       {http.MethodGet, "/favicon.ico", "localhost", http.StatusNotFound},
		"POST to an unknown path":         {http.MethodPost, "/nothing", "localhost", http.StatusNotFound},
		"no Host":                         {http.MethodGet, "/", "", http.StatusBadRequest},
		"a Host that extends a policy":    {http.MethodGet, "/", "x;script-src*", http.StatusBadRequest},
		"a Host with a source of its own": {http.MethodGet, "/", "x,*", http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			res := get(t, console.Config{}, c.method, c.target, c.host)
			if res.StatusCode != c.status {
				t.Errorf("status %d, want %d", res.StatusCode, c.status)
			}
			if allow := res.Header.Get("Allow"); (allow == "GET, HEAD") != (c.status == http.StatusMethodNotAllowed) {
				t.Errorf("Allow is %q", allow)
			}
		})
	}
}

func TestThePolicyAllowsTheWebSocketOfTheHostThatThePageIsOpenedWith(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  console.Config
		host string
		want string
	}{
		"a name":              {console.Config{PublicPort: 3007}, "gateway.example.com:9007", "ws://gateway.example.com:3007"},
		"a name without port": {console.Config{PublicPort: 3007}, "localhost", "ws://localhost:3007"},
		"an IPv4 address":     {console.Config{PublicPort: 3007}, "127.0.0.1:9007", "ws://127.0.0.1:3007"},
		"TLS":                 {console.Config{PublicPort: 443, TLS: true}, "localhost:9007", "wss://localhost:443"},
		"an IPv6 address, which policies cannot name": {console.Config{PublicPort: 3007}, "[::1]:9007", "ws:"},
		"an IPv6 address without port, with TLS":      {console.Config{PublicPort: 3007, TLS: true}, "[::1]", "wss:"},
	} {
		t.Run(name, func(t *testing.T) {
			policy := get(t, c.cfg, http.MethodGet, "/", c.host).Header.Get("Content-Security-Policy")
			if !strings.Contains(policy, "connect-src 'self' "+c.want+";") {
				t.Errorf("policy %q does not allow %s", policy, c.want)
			}
		})
	}
}

func TestTheSettingsAreJSON(t *testing.T) {
	for name, c := range map[string]struct{ cfg, want console.Config }{
		"the path has a default": {
			console.Config{PublicPort: 3007, Version: "1.2.3"},
			console.Config{PublicPort: 3007, Path: "/ws", Version: "1.2.3"},
		},
		"all given": {
			console.Config{PublicPort: 443, TLS: true, Path: "/live", Version: `"<`},
			console.Config{PublicPort: 443, TLS: true, Path: "/live", Version: `"<`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			res := get(t, c.cfg, http.MethodGet, "/console.json", "localhost")
			var got console.Config
			if err := json.Unmarshal([]byte(body(t, res)), &got); err != nil {
				t.Fatal(err)
			}
			if got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// TestThePageLoadsOnlyWhatIsServed follows what the page and its modules name.
func TestThePageLoadsOnlyWhatIsServed(t *testing.T) {
	references := regexp.MustCompile(`(?:src|href)="(/[^"]+)"|(?:from|import\() ?'(\.{1,2}/[^']+)'|fetch\('([^']+)'`)
	seen := map[string]bool{}
	for from := range paths {
		for _, m := range references.FindAllStringSubmatch(body(t, get(t, console.Config{}, http.MethodGet, from, "localhost")), -1) {
			target := m[1] + m[3]
			if m[2] != "" {
				target = path.Join(path.Dir(from), m[2])
			}
			seen[target] = true
			if _, ok := paths[target]; !ok {
				t.Errorf("%s names %q, which is not served", from, target)
			}
		}
	}
	for target := range paths {
		if target != "/" && !seen[target] {
			t.Errorf("%s is served and nothing loads it", target)
		}
	}
}

func TestThePageHasNothingThatThePolicyOrDataCouldTurnIntoScript(t *testing.T) {
	page := body(t, get(t, console.Config{}, http.MethodGet, "/", "localhost"))
	for what, pattern := range map[string]string{
		"an inline style":         `<style|\sstyle=`,
		"an inline script":        `<script(?:[^>]*)>[^<]`,
		"a handler in an element": `\son[a-z]+=`,
	} {
		if m := regexp.MustCompile(pattern).FindString(page); m != "" {
			t.Errorf("the page has %s: %q", what, m)
		}
	}
	for path := range paths {
		text := body(t, get(t, console.Config{}, http.MethodGet, path, "localhost"))
		for _, word := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("} {
			if strings.HasSuffix(path, ".js") && strings.Contains(text, word) {
				t.Errorf("%s uses %s", path, word)
			}
		}
	}
}

func TestThePageIsServedInDevelopmentUnlessTheOperatorSaysOtherwise(t *testing.T) {
	for _, c := range []struct {
		enabled          string
		development, out bool
	}{
		{"", true, true}, {"", false, false}, {"true", false, true}, {"true", true, true}, {"false", true, false}, {"false", false, false},
	} {
		s := console.Settings{Enabled: c.enabled}
		if err := s.Validate(); err != nil {
			t.Errorf("%q: %v", c.enabled, err)
		}
		if got := s.Serve(c.development); got != c.out {
			t.Errorf("%q in development %v: served %v", c.enabled, c.development, got)
		}
	}
	const want = `CONSOLE_ENABLED "yes": want true, false or nothing, which is true in development alone`
	if err := (console.Settings{Enabled: "yes"}).Validate(); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func ExampleNew() {
	admin := http.NewServeMux()
	admin.Handle("/", console.New(console.Config{PublicPort: 3007}))
}
