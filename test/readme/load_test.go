package readme

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// small are flags that make a load small; flags that stand later win.
var small = map[string]string{
	"idle":    "-n 40 -settle 200ms",
	"fanout":  "-members 40 -stalled 0 -rooms 4 -rate 50 -duration 300ms",
	"publish": "-n 20 -rate 200 -duration 300ms",
	"echo":    "-n 20 -rate 100 -duration 300ms",
	"mixed":   "-n 40 -rooms 10 -memberships 2 -rate 50 -duration 300ms",
	"churn":   "-n 40 -rooms 10 -moving 10 -duration 300ms",
	"soak":    "-n 40 -rooms 10 -moving 10 -duration 2s",
	"slow":    "-n 40",
	"drain":   "-n 40 -publish-rate 50",
}

// TestTheLoadGeneratorRunsAsDescribed runs every command of the page with small
// loads against a gateway, and the last one ends it.
func TestTheLoadGeneratorRunsAsDescribed(t *testing.T) {
	g := serve(t, "ADMIN_API_KEYS=0123456789abcdef")
	bin := t.TempDir() // with a pgrep that finds this gateway among those that run
	pid := fmt.Sprintf("#!/bin/sh\necho %d\n", g.cmd.Process.Pid)
	if err := os.WriteFile(filepath.Join(bin, "pgrep"), []byte(pid), 0o755); err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	shell(t, work, "ln -s "+folder(t)+"/bin bin")
	address := regexp.MustCompile(`127\.0\.0\.1:(3007|3008|3009)`)
	run := func(command string) {
		t.Helper()
		command, _, _ = strings.Cut(strings.TrimSpace(command), "#")
		command = strings.Replace(command, "go run ./cmd/wsbench ", "bin/wsbench ", 1)
		if !strings.HasPrefix(command, "bin/") {
			command = "bin/" + command
		}
		words := strings.Fields(command)
		if flags, scenario := small[words[1]]; scenario {
			command += " " + flags
			if !strings.Contains(command, "-url ") {
				command += " -url ws://127.0.0.1:3007/ws"
			}
		}
		command = g.ports.Replace(address.ReplaceAllString(command, "127.0.0.1:3007"))
		// What a shared machine's figures are is not judged here, but that the
		// command is one, and that nothing is lost.
		out := shell(t, work, command, "PATH="+bin+":"+os.Getenv("PATH"))
		if strings.Contains(out, "flag provided but not defined") {
			t.Errorf("%s: %s", command, out)
		}
	}
	lines := strings.Split(strings.TrimSpace(find(t, "bin/wsbench idle")), "\n")
	reports := strings.Split(strings.TrimSpace(find(t, "go run ./cmd/wsbench fanout")), "\n")
	run(reports[0])
	shell(t, work, "cp now.json old.json")
	for _, line := range reports[1:] {
		run(line)
	}
	for _, made := range []string{"now.html", "old.html"} {
		if info, err := os.Stat(filepath.Join(work, made)); err != nil || info.Size() == 0 {
			t.Errorf("no %s", made)
		}
	}
	run(find(t, "wsbench fanout -members 40000"))
	for _, c := range commands(t) {
		if strings.HasPrefix(c, "wsbench ") { // upstream-server ends with its input, of which there is none
			run(c)
		}
	}
	for _, line := range lines {
		run(line)
	}
	until(t, "drain -sigterm has ended the gateway", g.over)
}
