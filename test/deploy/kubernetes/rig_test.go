package kubernetes

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	// startTime bounds the start of the cluster, stepTime one change to it.
	startTime = 5 * time.Minute
	stepTime  = 5 * time.Minute
	chart     = "../../../helm/ws-gateway"
	adminKey  = "0123456789abcdef"
)

// cluster is a real one, of one node, that lives as long as the test.
type cluster struct {
	t   *testing.T
	rig string // absolute
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	if os.Getenv("RIG") == "" {
		t.Skip("RIG names no folder of scripts that start a cluster: see doc.go")
	}
	rig, err := filepath.Abs(os.Getenv("RIG"))
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t, rig}
	t.Cleanup(func() { // also after a start that got half way
		for _, script := range []string{"k8s/node.sh", "k8s/cp.sh"} {
			if out, err := c.command(context.Background(), script, "stop").CombinedOutput(); err != nil {
				t.Logf("%s stop: %v: %s", script, err, out)
			}
		}
	})
	c.script("k8s/cp.sh", "start")
	c.script("k8s/node.sh", "start")
	return c
}

// command is one of the rig's scripts. Its processes stay: they are the
// cluster's, which write into files.
func (c *cluster) command(ctx context.Context, script string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(c.rig, script), args...)
	cmd.Env = append(os.Environ(), "RIG="+c.rig, "NET=netns")
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

func (c *cluster) script(script string, args ...string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), startTime)
	defer cancel()
	if out, err := c.command(ctx, script, args...).CombinedOutput(); err != nil {
		c.t.Fatalf("%s %s: %v\n%s", script, args[0], err, out)
	}
}

// try runs a command inside of the cluster's network.
func (c *cluster) try(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), stepTime)
	defer cancel()
	cmd := c.command(ctx, "k8s/cp.sh", append([]string{"in"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("%s: %w: %s%s", strings.Join(args, " "), err, out, &stderr)
	}
	return strings.TrimSpace(string(out)), nil
}

// do is try, and what it says, or the end of the test with the state of things.
func (c *cluster) do(args ...string) string {
	c.t.Helper()
	out, err := c.try(args...)
	if err != nil {
		for _, what := range [][]string{
			{"kubectl", "get", "pods", "-o", "wide"},
			{"kubectl", "get", "events", "--sort-by=.lastTimestamp"},
			{"kubectl", "logs", "--selector=" + gateways, "--tail=20", "--prefix"},
		} {
			state, _ := c.try(what...)
			c.t.Log(state)
		}
		c.t.Fatal(err)
	}
	return out
}

const gateways = "app.kubernetes.io/component=gateway"

// image makes an image of a folder and hands it to the node.
func (c *cluster) image(dir, name, entry, user string) {
	c.t.Helper()
	entrypoint, _ := json.Marshal([]string{entry})
	ctx, cancel := context.WithTimeout(c.t.Context(), startTime)
	defer cancel()
	cmd := c.command(ctx, "k8s/mkimage.py", dir, name, string(entrypoint), "[]", user)
	tar, err := os.Create(filepath.Join(c.t.TempDir(), "image.tar"))
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = tar.Close() }()
	cmd.Stdout, cmd.Stderr = tar, os.Stderr
	if err := cmd.Run(); err != nil {
		c.t.Fatalf("make the image %s: %v", name, err)
	}
	c.script("k8s/node.sh", "load", tar.Name())
}

// gatewayImage builds the gateway as one of its versions.
func (c *cluster) gatewayImage(version string) {
	c.t.Helper()
	dir := c.t.TempDir()
	build(c.t, filepath.Join(dir, "gateway"), "../../../cmd/gateway", "-X main.version="+version)
	c.image(dir, "ws-gateway:"+version, "/gateway", "65532")
}

func build(t *testing.T, out, pkg, ldflags string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w "+ldflags, "-o", out, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, err, said)
	}
}

// redisImage is what the bundled Redis needs of this machine: the server, its
// client, a shell, and the libraries of these.
func (c *cluster) redisImage(name string) {
	c.t.Helper()
	dir := c.t.TempDir()
	for program, at := range map[string]string{"redis-server": "usr/bin/redis-server", "redis-cli": "usr/bin/redis-cli", "sh": "bin/sh"} {
		path, err := exec.LookPath(program)
		if err != nil {
			c.t.Fatalf("the test needs %s: %v", program, err)
		}
		copyFile(c.t, path, filepath.Join(dir, at))
		out, err := exec.CommandContext(c.t.Context(), "ldd", path).Output()
		if err != nil {
			c.t.Fatal(err)
		}
		for _, word := range strings.Fields(string(out)) {
			if strings.HasPrefix(word, "/") {
				copyFile(c.t, word, filepath.Join(dir, word))
			}
		}
	}
	c.image(dir, name, "redis-server", "999")
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, content, 0o755); err != nil {
		t.Fatal(err)
	}
}

// drive is traffic through the Service, from inside of the cluster's network.
type drive struct {
	c     *cluster
	cmd   *exec.Cmd
	words io.WriteCloser
	said  chan string // closed at the end
}

// drives starts the traffic and waits until all clients are in their rooms.
func (c *cluster) drives(args ...string) *drive {
	c.t.Helper()
	program := filepath.Join(c.t.TempDir(), "drive")
	build(c.t, program, "../drive", "")
	ip := func(name string) string {
		return c.do("kubectl", "get", "service", name, "-o", "jsonpath={.spec.clusterIP}")
	}
	d := &drive{c: c, said: make(chan string, 64)}
	d.cmd = c.command(context.Background(), "k8s/cp.sh", append([]string{"in", program,
		"-address", "http://" + ip("gw-ws-gateway") + ":3007", "-backend", "http://" + ip("gw-ws-gateway-admin") + ":9007",
	}, args...)...)
	d.cmd.Env = append(d.cmd.Env, "DRIVE_KEY="+adminKey)
	d.cmd.Stderr = os.Stderr
	var err error
	if d.words, err = d.cmd.StdinPipe(); err != nil {
		c.t.Fatal(err)
	}
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = d.cmd.Process.Kill() }) // nothing, after stop
	go func() {                                      // ends with the process
		defer close(d.said)
		for in := bufio.NewScanner(out); in.Scan(); {
			d.said <- in.Text()
		}
	}()
	d.hear("ready")
	return d
}

// hear waits for a line; "" takes any.
func (d *drive) hear(want string) string {
	d.c.t.Helper()
	select {
	case line, more := <-d.said:
		if !more || want != "" && line != want {
			d.c.t.Fatalf("the traffic said %q, want %q", line, want)
		}
		return line
	case <-time.After(stepTime):
		d.c.t.Fatalf("the traffic does not say %q", want)
	}
	return ""
}

// say asks the traffic for something.
func (d *drive) say(word, want string) string {
	d.c.t.Helper()
	if _, err := io.WriteString(d.words, word+"\n"); err != nil {
		d.c.t.Fatal(err)
	}
	return d.hear(want)
}

// settled waits until all clients are connected.
func (d *drive) settled() { d.c.t.Helper(); d.say("wait", "ok") }

// spread counts the clients on each instance.
func (d *drive) spread() map[string]int {
	d.c.t.Helper()
	on := map[string]int{}
	if err := json.Unmarshal([]byte(d.say("spread", "")), &on); err != nil {
		d.c.t.Fatal(err)
	}
	return on
}

// stop ends the traffic and tells what was wrong with it.
func (d *drive) stop() {
	d.c.t.Helper()
	_ = d.words.Close()
	var all []string
	for line := range d.said {
		all = append(all, line)
	}
	err := d.cmd.Wait()
	d.c.t.Log(strings.Join(all, "\n"))
	if err != nil {
		d.c.t.Errorf("the traffic: %v", err)
	}
}
