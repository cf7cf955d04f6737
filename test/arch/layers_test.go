package arch

import (
	"fmt"
	"go/token"
	"strings"
	"testing"
)

// layers is the way of a message, from the vocabulary up. A package below one
// of these belongs to it.
func layers() [][]string {
	return [][]string{
		{"internal/wire"},
		{"internal/codec", "internal/transport", "internal/broker"},
		{"internal/session"},
		{"internal/hub"},
		{"internal/router"},
		{"internal/gateway", "internal/httpapi", "internal/bridge", "internal/console"},
	}
}

// layerOf returns the member of layers that a package belongs to, and its
// height; -1 for packages beside the way.
func layerOf(pkg string) (string, int) {
	for height, members := range layers() {
		for _, member := range members {
			if under(pkg, member) {
				return member, height
			}
		}
	}
	return "", -1
}

func layerRules() []rule {
	return []rule{
		{
			name:  "imports go down the way of a message",
			why:   "wire ← codec, transport, broker; codec, transport ← session ← hub ← router; broker ← hub: a part is tested with what stands below it, and never waits for what stands above",
			check: backwards,
		},
		{
			name: "wire imports the standard library alone",
			why:  "everything speaks its words, so it may bring nothing along",
			check: shipped(func(f *file) []finding {
				if !under(f.dir(), "internal/wire") {
					return nil
				}
				return importing(f, "imports", func(p string) bool { return strings.Contains(p, ".") || under(p, "internal") })
			}),
		},
	}
}

// backwards finds packages that reach their own layer or a higher one, through
// whatever packages stand beside the way.
func backwards(t *tree) []finding {
	type edge struct {
		to  string
		pos token.Pos
	}
	edges := map[string][]edge{}
	for _, f := range t.files {
		if f.test() {
			continue
		}
		for p, pos := range f.imports {
			if under(p, "internal") {
				edges[f.dir()] = append(edges[f.dir()], edge{p, pos})
			}
		}
	}
	var out []finding
	for pkg, direct := range edges {
		own, height := layerOf(pkg)
		if height < 0 {
			continue
		}
		var walk func(from, way string, pos token.Pos, seen map[string]bool)
		walk = func(from, way string, pos token.Pos, seen map[string]bool) {
			if seen[from] {
				return
			}
			seen[from] = true
			way += " → " + from
			// What a package on the way itself imports is its own breach.
			if member, h := layerOf(from); h >= 0 {
				if h >= height && member != own {
					out = append(out, finding{pos, fmt.Sprintf("%s%s goes up or sideways", pkg, way)})
				}
				return
			}
			for _, e := range edges[from] {
				walk(e.to, way, pos, seen)
			}
		}
		seen := map[string]bool{}
		for _, e := range direct {
			walk(e.to, "", e.pos, seen)
		}
	}
	return out
}

func TestLayerRulesFlagWhatTheyMust(t *testing.T) {
	const (
		down = "imports go down the way of a message"
		wire = "wire imports the standard library alone"
	)
	imports := func(paths ...string) string {
		var b strings.Builder
		for _, p := range paths {
			fmt.Fprintf(&b, "import _ %q\n", module+"/"+p)
		}
		return b.String()
	}
	try(t, layerRules(), map[string]trial{
		"the session asks the hub":        {down, map[string]string{"internal/session/s.go": imports("internal/hub")}, "internal/session → internal/hub goes up"},
		"the broker asks the hub":         {down, map[string]string{"internal/broker/membroker/b.go": imports("internal/hub")}, "internal/broker/membroker → internal/hub"},
		"the transport asks a codec":      {down, map[string]string{"internal/transport/ws/s.go": imports("internal/codec/jsonv1")}, "sideways"},
		"the broker asks the transport":   {down, map[string]string{"internal/broker/b.go": imports("internal/transport")}, "sideways"},
		"the vocabulary asks a codec":     {down, map[string]string{"internal/wire/w.go": imports("internal/codec")}, "internal/wire → internal/codec"},
		"the router asks the admission":   {down, map[string]string{"internal/router/r.go": imports("internal/gateway")}, "internal/router → internal/gateway"},
		"the hub asks down":               {down, map[string]string{"internal/hub/h.go": imports("internal/session", "internal/broker", "internal/wire")}, ""},
		"a package asks its own below":    {down, map[string]string{"internal/broker/b.go": imports("internal/broker/inner")}, ""},
		"one beside the way asks up":      {down, map[string]string{"internal/fault/f.go": imports("internal/hub")}, ""},
		"a test asks up":                  {down, map[string]string{"internal/session/s_test.go": imports("internal/hub")}, ""},
		"up through one beside the way":   {down, map[string]string{"internal/session/s.go": imports("internal/fault"), "internal/fault/f.go": imports("internal/hub")}, "internal/session → internal/fault → internal/hub"},
		"a breach below is reported once": {down, map[string]string{"internal/hub/h.go": imports("internal/session"), "internal/session/s.go": imports("internal/router")}, "internal/session → internal/router"},
		"the vocabulary asks a library":   {wire, map[string]string{"internal/wire/w.go": `import _ "go.uber.org/zap"`}, "internal/wire imports"},
		"the vocabulary asks a service":   {wire, map[string]string{"internal/wire/w.go": imports("internal/jsonscan")}, "internal/wire imports"},
		"the vocabulary asks the stdlib":  {wire, map[string]string{"internal/wire/w.go": `import _ "encoding/base64"`}, ""},
	})
}
