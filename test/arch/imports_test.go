package arch

import (
	"fmt"
	"go/ast"
	"strings"
	"testing"
)

// under reports whether a path is one of some, or below it. A "*" at the end
// stands for the rest of the name.
func under(p string, roots ...string) bool {
	for _, root := range roots {
		if stem, ok := strings.CutSuffix(root, "*"); ok && strings.HasPrefix(p, stem) {
			return true
		}
		if p == root || strings.HasPrefix(p, root+"/") {
			return true
		}
	}
	return false
}

// only is a rule that lets a library into some directories.
func only(library, why string, tests bool, dirs ...string) rule {
	where := "only " + strings.Join(dirs, ", ")
	if tests {
		where += " and tests"
	}
	return rule{name: where + " may import " + library, why: why, check: each(func(f *file) []finding {
		if under(f.dir(), dirs...) || tests && f.test() {
			return nil
		}
		return importing(f, "imports "+library, func(p string) bool { return under(p, library) })
	})}
}

func importing(f *file, what string, bad func(string) bool) []finding {
	var out []finding
	for p, pos := range f.imports {
		if bad(p) {
			out = append(out, finding{pos, fmt.Sprintf("%s %s (%q)", f.dir(), what, p)})
		}
	}
	return out
}

func importRules() []rule {
	return []rule{
		only("go.uber.org/fx", "the services are plain Go that can be made in a test with a call; fx only wires them",
			false, "modules", "cmd/gateway", "test"),
		only("github.com/coder/websocket", "the library stands behind transport.Conn, so that its traps are met in one place",
			true, "internal/transport/ws", "cmd/wsbench"),
		only("github.com/redis/go-redis*", "Redis stands behind the broker and the stores, so that one node runs without it",
			true, "internal/redisconn", "internal/broker/redisbroker", "internal/presence", "internal/cluster", "internal/bridge",
			"modules/redis*", "modules/broker*", "modules/presence*", "modules/cluster*", "modules/bridge*"),
		only("github.com/prometheus", "services count in plain counters; one place knows how they are shown",
			false, "internal/metrics", "internal/monitor", "modules/metrics*", "modules/monitor*"),
		only("go.opentelemetry.io", "services name what they do; one place knows the library, its conventions and its cost, and nothing of it stands on the way of a message when it is off",
			false, "internal/tracing", "modules/tracingfx"),
		only("github.com/caarlos0/env*", "services get a finished Config; only its owner reads the environment",
			false, "config"),
		{
			name:  "nobody uses Prometheus' global registry",
			why:   "two gateways in one process, as in tests, would share or refuse each other's collectors",
			check: each(globalRegistry),
		},
		{
			name: "internal never imports config or modules",
			why:  "a service stands on its own; who configures and wires it stands above",
			check: each(func(f *file) []finding {
				if !under(f.dir(), "internal") {
					return nil
				}
				return importing(f, "imports what stands above it", func(p string) bool { return under(p, "config", "modules", "cmd") })
			}),
		},
		{
			name: "config never imports modules",
			why:  "the configuration is whole before anything is wired",
			check: each(func(f *file) []finding {
				if !under(f.dir(), "config") {
					return nil
				}
				return importing(f, "imports what stands above it", func(p string) bool { return under(p, "modules", "cmd") })
			}),
		},
		{
			name:  "one module never imports another",
			why:   "modules meet in app.go alone, so that the whole graph can be read in one file",
			check: each(oneModule),
		},
	}
}

// globalRegistry finds the names of Prometheus' packages that use it.
func globalRegistry(f *file) []finding {
	out := importing(f, "imports", func(p string) bool { return under(p, "github.com/prometheus/client_golang/prometheus/promauto") })
	global := map[string]bool{
		"prometheus.MustRegister": true, "prometheus.Register": true, "prometheus.Unregister": true,
		"prometheus.DefaultRegisterer": true, "prometheus.DefaultGatherer": true, "promhttp.Handler": true,
	}
	packages := map[string]string{} // by their name in the file
	for _, spec := range f.ast.Imports {
		if p := strings.Trim(spec.Path.Value, `"`); under(p, "github.com/prometheus") {
			base := p[strings.LastIndexByte(p, '/')+1:]
			name := base
			if spec.Name != nil {
				name = spec.Name.Name
			}
			packages[name] = base
		}
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && global[packages[x.Name]+"."+sel.Sel.Name] {
				out = append(out, finding{sel.Pos(), fmt.Sprintf("uses %s.%s", x.Name, sel.Sel.Name)})
			}
		}
		return true
	})
	return out
}

// oneModule finds imports of modules outside app.go, main and tests of the
// whole.
func oneModule(f *file) []finding {
	own := strings.Split(f.dir()+"/", "/")
	return importing(f, "imports another module", func(p string) bool {
		switch {
		case !under(p, "modules"), under(f.dir(), "cmd/gateway", "test"):
			return false
		case f.dir() == "modules" && (f.path == "modules/app.go" || f.test()):
			return false
		case own[0] == "modules" && own[1] != "":
			return !under(p, "modules/"+own[1])
		}
		return true
	})
}

func TestImportRulesFlagWhatTheyMust(t *testing.T) {
	const (
		fx     = "only modules, cmd/gateway, test may import go.uber.org/fx"
		socket = "only internal/transport/ws, cmd/wsbench and tests may import github.com/coder/websocket"
		redis  = "only internal/redisconn, internal/broker/redisbroker, internal/presence, internal/cluster, internal/bridge, " +
			"modules/redis*, modules/broker*, modules/presence*, modules/cluster*, modules/bridge* and tests may import github.com/redis/go-redis*"
		prom     = "only internal/metrics, internal/monitor, modules/metrics*, modules/monitor* may import github.com/prometheus"
		traces   = "only internal/tracing, modules/tracingfx may import go.opentelemetry.io"
		env      = "only config may import github.com/caarlos0/env*"
		global   = "nobody uses Prometheus' global registry"
		above    = "internal never imports config or modules"
		config   = "config never imports modules"
		modules  = "one module never imports another"
		promPath = `import "github.com/prometheus/client_golang/prometheus"` + "\n"
	)
	imports := func(file, p string) map[string]string { return map[string]string{file: "import _ " + `"` + p + `"`} }
	own := func(file, p string) map[string]string { return imports(file, module+"/"+p) }
	try(t, importRules(), map[string]trial{
		"fx in a service":             {fx, imports("internal/hub/hub.go", "go.uber.org/fx"), "internal/hub imports go.uber.org/fx"},
		"fx in a service's test":      {fx, imports("internal/hub/hub_test.go", "go.uber.org/fx/fxtest"), "internal/hub imports"},
		"fx in config":                {fx, imports("config/config.go", "go.uber.org/fx"), "config imports"},
		"fx in another command":       {fx, imports("cmd/wsbench/main.go", "go.uber.org/fx"), "cmd/wsbench imports"},
		"fx in a module":              {fx, imports("modules/hubfx/module.go", "go.uber.org/fx"), ""},
		"fx in app.go":                {fx, imports("modules/app.go", "go.uber.org/fx"), ""},
		"fx in main":                  {fx, imports("cmd/gateway/main.go", "go.uber.org/fx"), ""},
		"a name that only begins so":  {fx, imports("internal/hub/hub.go", "go.uber.org/fxother"), ""},
		"websocket in a service":      {socket, imports("internal/gateway/accept.go", "github.com/coder/websocket"), "internal/gateway imports"},
		"websocket in a module":       {socket, imports("modules/transportfx/module.go", "github.com/coder/websocket/wsjson"), "modules/transportfx imports"},
		"websocket in the transport":  {socket, imports("internal/transport/ws/accept.go", "github.com/coder/websocket"), ""},
		"websocket next to it":        {socket, imports("internal/transport/wsx/accept.go", "github.com/coder/websocket"), "internal/transport/wsx imports"},
		"websocket in a test":         {socket, imports("internal/gateway/accept_test.go", "github.com/coder/websocket"), ""},
		"websocket in wsbench":        {socket, imports("cmd/wsbench/internal/standin/server.go", "github.com/coder/websocket"), ""},
		"redis in the hub":            {redis, imports("internal/hub/hub.go", "github.com/redis/go-redis/v9"), "internal/hub imports"},
		"redis in the broker itself":  {redis, imports("internal/broker/broker.go", "github.com/redis/go-redis/v9"), "internal/broker imports"},
		"redis in its broker":         {redis, imports("internal/broker/redisbroker/broker.go", "github.com/redis/go-redis/v9"), ""},
		"redis in its module":         {redis, imports("modules/redisfx/module.go", "github.com/redis/go-redis/v9"), ""},
		"redis in another module":     {redis, imports("modules/hubfx/module.go", "github.com/redis/go-redis/v9"), "modules/hubfx imports"},
		"prometheus in the transport": {prom, imports("internal/transport/ws/stats.go", "github.com/prometheus/client_golang/prometheus"), "internal/transport/ws imports"},
		"prometheus in a module":      {prom, imports("modules/hubfx/module.go", "github.com/prometheus/client_golang/prometheus"), "modules/hubfx imports"},
		"prometheus in metrics":       {prom, imports("internal/metrics/hub.go", "github.com/prometheus/client_golang/prometheus"), ""},
		"traces in the router":        {traces, imports("internal/router/publish.go", "go.opentelemetry.io/otel/trace"), "internal/router imports"},
		"traces in a test":            {traces, imports("test/flow/flow_test.go", "go.opentelemetry.io/otel"), "test/flow imports"},
		"traces in their package":     {traces, imports("internal/tracing/tracer.go", "go.opentelemetry.io/otel/sdk/trace"), ""},
		"traces in their module":      {traces, imports("modules/tracingfx/module.go", "go.opentelemetry.io/otel"), ""},
		"prometheus in its module":    {prom, imports("modules/metricsfx/module.go", "github.com/prometheus/client_golang/prometheus"), ""},
		"env beside a Config":         {env, imports("internal/hub/config.go", "github.com/caarlos0/env/v11"), "internal/hub imports"},
		"env in config":               {env, imports("config/load.go", "github.com/caarlos0/env/v11"), ""},
		"MustRegister":                {global, map[string]string{"internal/metrics/m.go": promPath + "func f() { prometheus.MustRegister() }"}, "uses prometheus.MustRegister"},
		"the global one as a value": {global, map[string]string{"internal/metrics/m.go": `import p "github.com/prometheus/client_golang/prometheus"
			func f() any { return p.DefaultRegisterer }`}, "uses p.DefaultRegisterer"},
		"the global handler": {global, map[string]string{"internal/metrics/m.go": `import "github.com/prometheus/client_golang/prometheus/promhttp"
			func f() any { return promhttp.Handler() }`}, "uses promhttp.Handler"},
		"promauto":               {global, imports("internal/metrics/m.go", "github.com/prometheus/client_golang/prometheus/promauto"), "promauto"},
		"a registry of its own":  {global, map[string]string{"internal/metrics/m.go": promPath + "func f() { r := prometheus.NewRegistry(); r.MustRegister() }"}, ""},
		"another's MustRegister": {global, map[string]string{"internal/metrics/m.go": "import prometheus \"x/y\"\nfunc f() { prometheus.MustRegister() }"}, ""},
		"a service asks config":  {above, own("internal/hub/hub.go", "config"), "internal/hub imports what stands above it"},
		"a service's test does":  {above, own("internal/hub/hub_test.go", "modules/hubfx"), "internal/hub imports what stands above it"},
		"a service asks another": {above, own("internal/hub/hub.go", "internal/session"), ""},
		"config asks a module":   {config, own("config/config.go", "modules/hubfx"), "config imports"},
		"config asks a service":  {config, own("config/config.go", "internal/hub"), ""},
		"a module asks another":  {modules, own("modules/hubfx/module.go", "modules/routerfx"), "modules/hubfx imports another module"},
		"a module asks them all": {modules, own("modules/hubfx/module.go", "modules"), "modules/hubfx imports another module"},
		"app.go asks a module":   {modules, own("modules/app.go", "modules/hubfx"), ""},
		"its neighbour does":     {modules, own("modules/more.go", "modules/hubfx"), "modules imports another module"},
		"a module asks itself":   {modules, own("modules/hubfx/module.go", "modules/hubfx/inner"), ""},
		"a name that begins so":  {modules, own("modules/hubfx/module.go", "modules/hubfx2"), "modules/hubfx imports another module"},
		"main asks for them all": {modules, own("cmd/gateway/main.go", "modules"), ""},
		"another command does":   {modules, own("cmd/wsbench/main.go", "modules"), "cmd/wsbench imports another module"},
	})
}
