//go:build linux

package million

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/proc"
)

// Addresses: workers connect from 127.0.0.2 on, Redis listens at 127.1.0.1 and
// the gateways at 127.1.1.1 and following.
const (
	redisHost   = "127.1.0.1"
	maxGateways = 256 // targets that a connection can tell apart
)

func gatewayHost(i int) string { return fmt.Sprintf("127.1.%d.%d", 1+i/250, 1+i%250) }

// stack is a Redis and the gateways on it. Immutable once it is up.
type stack struct {
	cfg      *Config
	herd     *proc.Herd
	dir      string
	redis    *proc.Member
	gateways []*proc.Member

	redisPort, port, adminPort int
	secret                     []byte // of the tokens
	key                        string // of the server API
	client                     http.Client
}

// redisPriority is the nice value of Redis.
const redisPriority = -10

// readyLimit bounds the start of one process on a busy machine.
const readyLimit = time.Minute

// startStack starts all of it and waits until it is ready. On an error nothing
// stays.
func startStack(ctx context.Context, cfg *Config) (*stack, error) {
	s := &stack{cfg: cfg, herd: proc.NewHerd(), client: http.Client{Timeout: time.Minute}}
	err := s.prepare()
	if err == nil {
		err = s.start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func (s *stack) prepare() (err error) {
	if s.dir, err = os.MkdirTemp("", "wsbench-million-"); err != nil {
		return err
	}
	var random [48]byte
	_, _ = rand.Read(random[:]) // never fails
	s.secret, s.key = random[:32], hex.EncodeToString(random[32:])
	for _, p := range []*int{&s.redisPort, &s.port, &s.adminPort} {
		if *p, err = freePort(); err != nil {
			return err
		}
	}
	return nil
}

// freePort finds a port that nobody listens at. It is below those that the
// kernel gives to connections, so that none of theirs can take it meanwhile.
func freePort() (int, error) {
	var random [2]byte
	for range 100 {
		_, _ = rand.Read(random[:])
		port := 11_000 + (int(random[0])<<8|int(random[1]))%20_000
		l, err := net.Listen("tcp4", fmt.Sprintf("0.0.0.0:%d", port)) //nolint:noctx // closed at once
		if err != nil {
			continue
		}
		return port, l.Close()
	}
	return 0, errors.New("no free port was found")
}

func (s *stack) start(ctx context.Context) (err error) {
	cmd := exec.Command(s.cfg.Redis, "--bind", redisHost, "--port", fmt.Sprint(s.redisPort), "--dir", s.dir, //nolint:gosec,noctx // the user's choice; the herd ends it
		"--save", "", "--appendonly", "no", "--daemonize", "no", "--maxclients", "15000", "--protected-mode", "no")
	if s.redis, err = s.launch(cmd, "redis"); err != nil {
		return err
	}
	// All wait for it, and it does little: let it do so at once, if we may.
	_ = unix.Setpriority(unix.PRIO_PROCESS, s.redis.PID(), redisPriority)
	if err := s.await(ctx, s.redis, "redis", s.redisAnswers); err != nil {
		return err
	}
	for i := range s.cfg.processes() {
		cmd := exec.Command(s.cfg.Gateway) //nolint:gosec,noctx // the user's choice; the herd ends it
		cmd.Env = s.environment(i)
		m, err := s.launch(cmd, s.name(i))
		if err != nil {
			return err
		}
		s.gateways = append(s.gateways, m)
	}
	for i, m := range s.gateways {
		if err := s.await(ctx, m, s.name(i), func() bool { return s.gatewayReady(i) }); err != nil {
			return err
		}
	}
	return nil
}

func (s *stack) name(i int) string { return fmt.Sprintf("gateway-%d", i+1) }

// environment is a gateway's: of ours only what says how the Go runtime works,
// so that settings of another gateway do not reach it.
func (s *stack) environment(i int) []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"), "INSTANCE_ID=" + s.name(i), "LOG_LEVEL=warn", "LOG_FORMAT=json",
		"HOST=" + gatewayHost(i), fmt.Sprintf("PORT=%d", s.port),
		"ADMIN_HOST=" + gatewayHost(i), fmt.Sprintf("ADMIN_PORT=%d", s.adminPort), "ADMIN_API_KEYS=" + s.key,
		"REDIS_HOST=" + redisHost, fmt.Sprintf("REDIS_PORT=%d", s.redisPort),
		"AUTH_MODE=jwt", "AUTH_JWT_SECRET=" + string(hexOf(s.secret)),
		// Connections are spread evenly from the start.
		"REBALANCE_ENABLED=false",
		// With a hundred processes on a few cores nobody is dead who is slow.
		"INSTANCE_TTL=60s", "REDIS_COMMAND_TIMEOUT=20s", "DRAIN_WINDOW=" + s.cfg.drainWindow().String(),
	}
	// A process that thinks it has all cores to itself looks for work on them, and
	// marks garbage there, while others have work.
	if s.cfg.processes() > runtime.NumCPU() {
		env = append(env, "GOMAXPROCS=1")
	}
	for _, name := range []string{"GOGC", "GOMEMLIMIT", "GOMAXPROCS", "GODEBUG"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return append(env, s.cfg.Env...)
}

func hexOf(b []byte) []byte { return hex.AppendEncode(nil, b) }

// launch starts a process that writes a log of its own.
func (s *stack) launch(cmd *exec.Cmd, name string) (*proc.Member, error) {
	log, err := os.Create(s.logFile(name))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the process has its own
	cmd.Stdout, cmd.Stderr = log, log
	return s.herd.Start(cmd)
}

// await waits until a process answers.
func (s *stack) await(ctx context.Context, m *proc.Member, name string, answers func() bool) error {
	deadline := time.After(readyLimit)
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for !answers() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-m.Done():
			return fmt.Errorf("%s ended: %w: %s", name, m.Err(), s.logTail(name))
		case <-deadline:
			return fmt.Errorf("%s is not ready after %v: %s", name, readyLimit, s.logTail(name))
		case <-t.C:
		}
	}
	return nil
}

func (s *stack) logFile(name string) string { return filepath.Join(s.dir, name+".log") }

// logTail is the end of a process's log.
func (s *stack) logTail(name string) string {
	b, err := os.ReadFile(s.logFile(name))
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(b[max(len(b)-1000, 0):]))
}

func (s *stack) redisAnswers() bool {
	c, err := net.DialTimeout("tcp", fmt.Sprintf("%s:%d", redisHost, s.redisPort), time.Second) //nolint:noctx // bounded
	if err != nil {
		return false
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	var answer [7]byte
	_, _ = io.WriteString(c, "PING\r\n")
	_, err = io.ReadFull(c, answer[:])
	return err == nil && string(answer[:]) == "+PONG\r\n"
}

func (s *stack) gatewayReady(i int) bool {
	resp, err := s.client.Get(s.admin(i) + "/health/ready") //nolint:noctx // the client has a limit
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func (s *stack) admin(i int) string { return fmt.Sprintf("http://%s:%d", gatewayHost(i), s.adminPort) }

// url is where a worker connects to: each to a gateway of its own, so that the
// heartbeats of one moment are one moment's work for one of them.
func (s *stack) url(i int) string { return fmt.Sprintf("ws://%s:%d/ws", gatewayHost(i), s.port) }

// stop ends everything and removes what it has written.
func (s *stack) stop() error {
	s.client.CloseIdleConnections()
	s.herd.Stop(5 * time.Second)
	if s.dir == "" {
		return nil
	}
	return os.RemoveAll(s.dir)
}
