package main

import (
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/moonx-farm/ws-gateway/config"
)

// version is set by the linker.
var version string

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

const usage = `usage: gateway [command]

  (none)        serve; settings come from the environment
  config        print the effective settings, secrets masked
  healthcheck   exit 0 if the gateway of these settings is ready, else 1
  probe URL [ORIGIN]
                open a WebSocket at ws://… as a client does; exit 0 if it answers
  version       print the version
`

func main() { os.Exit(command(os.Args[1:])) }

func command(args []string) int {
	name, args := named(args)
	switch name {
	case "serve":
		return withConfig(serve)
	case "config":
		return withConfig(show)
	case "healthcheck":
		return healthcheck(os.Environ())
	case "probe":
		return probe(args[0], args[1])
	case "version", "-version", "--version":
		return say(os.Stdout, "gateway "+versionText()+"\n", exitOK)
	case "help", "-h", "-help", "--help":
		return say(os.Stdout, usage, exitOK)
	}
	return say(os.Stderr, usage, exitUsage)
}

// named takes a command and its arguments apart: "" when they do not fit.
func named(args []string) (string, []string) {
	switch {
	case len(args) == 0:
		return "serve", nil
	case args[0] == "probe" && (len(args) == 2 || len(args) == 3):
		return "probe", append(args[1:], "") // without an origin
	case args[0] == "probe" || len(args) > 1:
		return "", nil
	}
	return args[0], nil
}

// say writes text and returns the exit code.
func say(w io.Writer, text string, code int) int {
	if _, err := io.WriteString(w, text); err != nil {
		return exitFailed
	}
	return code
}

// withConfig runs a command with valid settings.
func withConfig(f func(config.Config) int) int {
	cfg, err := config.Load(os.Environ(), versionText())
	if err != nil {
		return say(os.Stderr, "gateway: the configuration has faults:\n"+indent(err), exitUsage)
	}
	return f(cfg)
}

func show(cfg config.Config) int {
	if err := cfg.Write(os.Stdout); err != nil {
		return exitFailed
	}
	return exitOK
}

// versionText is the linker's version, else what the build knows of its
// source.
func versionText() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return "devel-" + s.Value[:min(len(s.Value), 12)]
		}
	}
	return "devel"
}

func failed(err error) int {
	return say(os.Stderr, fmt.Sprintf("gateway: %v\n", err), exitFailed)
}
