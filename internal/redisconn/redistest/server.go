package redistest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/moonx-farm/ws-gateway/internal/redisconn"
)

// patience is how long anything here may take: a loaded machine is no failure.
const patience = 30 * time.Second

// answer is how long a server may take for one.
const answer = time.Second

// Ports are taken from below those that the system gives to clients. A cluster
// node also listens on its port and 10,000.
const (
	firstPort = 11_000
	lastPort  = 21_000
	busOffset = 10_000
	tries     = 20
)

// Server is one process of redis-server. Its methods are for one goroutine.
type Server struct {
	t      testing.TB
	dir    string
	port   int
	conf   string // its configuration file; empty: none
	args   []string
	client *redis.Client

	cmd  *exec.Cmd     // nil before it was started
	done chan struct{} // closed when cmd has ended
}

// Single starts a server that writes nothing to disk, unless args, which are
// options such as "--appendonly", "yes", say otherwise.
func Single(t testing.TB, args ...string) *Server {
	t.Helper()
	return launch(t, nil, args...)
}

// Replica starts a server that follows another, with its password, and waits
// until it does.
func Replica(t testing.TB, of *Server, args ...string) *Server {
	t.Helper()
	follow := []string{"--replicaof", "127.0.0.1 " + strconv.Itoa(of.port)}
	if password := of.option("--requirepass"); password != "" {
		follow = append(follow, "--masterauth", password, "--requirepass", password)
	}
	s := Single(t, append(follow, args...)...)
	s.until("the replica follows", func() bool { return s.info("replication", "master_link_status") == "up" })
	return s
}

// launch starts a server on some free port. conf, if not nil, are lines for its
// configuration file, in which Sentinel keeps what it knows.
func launch(t testing.TB, conf []string, args ...string) *Server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Fatal("the command redis-server is missing: install the package redis-server")
	}
	logging.Disable() // the client library writes of each failed dial, and tests end servers
	s := &Server{t: t, dir: t.TempDir(), args: args}
	if conf != nil {
		s.conf = filepath.Join(s.dir, "redis.conf")
		if err := os.WriteFile(s.conf, []byte(strings.Join(conf, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(s.end)
	for range tries {
		s.port = freePort()
		if s.start() {
			return s
		}
	}
	t.Fatalf("redis-server does not start:\n%s", s.tail())
	return nil
}

// freePort is one that nobody listened on a moment ago.
func freePort() int {
	for range 100 {
		port := firstPort + rand.N(lastPort-firstPort)
		if listens(port) && listens(port+busOffset) {
			return port
		}
	}
	return firstPort
}

func listens(port int) bool {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// start runs the process and waits until it answers; false: it has ended.
func (s *Server) start() bool {
	s.t.Helper()
	out, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	cmd := exec.Command("redis-server", s.commandLine()...)
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = out, out, attributes()
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	done := make(chan struct{})
	// Ends with the process, which end kills and waits for.
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	s.cmd, s.done = cmd, done
	if s.client == nil || s.client.Options().Addr != s.Addr() {
		s.closeClient()
		s.client = redis.NewClient(&redis.Options{
			Addr: s.Addr(), Password: s.option("--requirepass"), DialTimeout: answer, ContextTimeoutEnabled: true,
		})
	}
	return s.answers()
}

// commandLine puts a test's own arguments last, for the last one counts.
func (s *Server) commandLine() []string {
	var line []string
	if s.conf != "" {
		line = append(line, s.conf)
	}
	line = append(line, "--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--dir", s.dir)
	if s.conf == "" { // Sentinel keeps no data
		line = append(line, "--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0", "--enable-debug-command", "yes")
	}
	return append(line, s.args...)
}

// option is the value of an argument, "" if it was not given.
func (s *Server) option(name string) string {
	for i, arg := range s.args {
		if arg == name && i+1 < len(s.args) {
			return s.args[i+1]
		}
	}
	return ""
}

// answers waits until the process answers that was started, for on its port
// another test's server may listen.
func (s *Server) answers() bool {
	s.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		select {
		case <-s.done:
			return false
		case <-time.After(5 * time.Millisecond):
		}
		if s.info("server", "process_id") == strconv.Itoa(s.cmd.Process.Pid) {
			return true
		}
	}
	s.t.Fatalf("redis-server does not answer:\n%s", s.tail())
	return false
}

// info is a field of INFO, "" when the server does not answer.
func (s *Server) info(section, field string) string {
	ctx, cancel := context.WithTimeout(context.Background(), answer)
	defer cancel()
	return fieldOf(s.client.Info(ctx, section).Val(), field)
}

// fieldOf finds a field in lines of the form name:value.
func fieldOf(text, field string) string {
	for line := range strings.Lines(text) {
		if name, value, _ := strings.Cut(strings.TrimSpace(line), ":"); name == field {
			return value
		}
	}
	return ""
}

// until waits for a condition.
func (s *Server) until(what string, holds func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: not within %v; the server's log:\n%s", what, patience, s.tail())
		}
	}
}

// Addr is 127.0.0.1 and the port.
func (s *Server) Addr() string { return "127.0.0.1:" + strconv.Itoa(s.port) }

// Port is the same at each start.
func (s *Server) Port() int { return s.port }

// Dir holds the server's files, its log among them.
func (s *Server) Dir() string { return s.dir }

// PID is that of the process that was started last.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Client is a client of this server that tries commands again as go-redis does.
// The test does not close it.
func (s *Server) Client() *redis.Client { return s.client }

// Config are the settings of a gateway with this server as its Redis.
func (s *Server) Config() redisconn.Config {
	return redisconn.Config{Host: "127.0.0.1", Port: s.port, Password: s.option("--requirepass")}
}

// Kill ends the process at once, as a crash does, and waits until it is gone.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill()
	<-s.done
}

// Stop halts the process: its connections stay, and nothing is answered.
func (s *Server) Stop() { s.signal(syscall.SIGSTOP) }

// Continue ends a Stop.
func (s *Server) Continue() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatalf("signal redis-server: %v", err)
	}
}

// Restart starts the server again, after a kill if it runs, with the same port,
// arguments and files, and waits until it answers.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	for range tries {
		if s.start() {
			return
		}
		time.Sleep(100 * time.Millisecond) // somebody may have the port for a moment
	}
	s.t.Fatalf("redis-server does not start again:\n%s", s.tail())
}

func (s *Server) end() {
	s.closeClient()
	if s.cmd != nil {
		s.Kill()
	}
}

func (s *Server) closeClient() {
	if s.client != nil {
		_ = s.client.Close()
	}
}

// tail is the end of the server's log.
func (s *Server) tail() string {
	text, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return string(text[max(0, len(text)-2000):])
}
