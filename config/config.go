package config

import (
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/caarlos0/env/v11"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/bridge"
	"github.com/moonx-farm/ws-gateway/internal/bridge/emitter"
	"github.com/moonx-farm/ws-gateway/internal/bridge/streams"
	"github.com/moonx-farm/ws-gateway/internal/broker/membroker"
	"github.com/moonx-farm/ws-gateway/internal/broker/redisbroker/roomlog"
	"github.com/moonx-farm/ws-gateway/internal/cluster"
	"github.com/moonx-farm/ws-gateway/internal/console"
	"github.com/moonx-farm/ws-gateway/internal/gateway"
	"github.com/moonx-farm/ws-gateway/internal/httpapi"
	"github.com/moonx-farm/ws-gateway/internal/limit"
	"github.com/moonx-farm/ws-gateway/internal/logging"
	"github.com/moonx-farm/ws-gateway/internal/peer"
	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/server"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/socketio"
	"github.com/moonx-farm/ws-gateway/internal/tracing"
	"github.com/moonx-farm/ws-gateway/internal/transport/polling"
	"github.com/moonx-farm/ws-gateway/internal/transport/ws"
	"github.com/moonx-farm/ws-gateway/internal/tuning"
)

// Config is everything that can be set. Make it with Load.
type Config struct {
	Process   Process
	Log       logging.Config
	Server    server.Config
	Gateway   gateway.Config
	Auth      auth.Config
	Policy    policy.Config
	Session   session.Config
	Limit     limit.Config
	Life      router.LifeConfig
	Transport ws.Config
	Engine    polling.Config
	SocketIO  socketio.Config
	Emitter   emitter.Config
	Broker    membroker.Config
	Logs      roomlog.Config
	Redis     redisconn.Config
	Cluster   cluster.Config
	Peer      peer.Config
	Bridge    bridge.Config
	Commands  streams.Config
	Tuning    tuning.Config
	API       httpapi.Config
	Console   console.Settings
	Tracing   tracing.Config

	// Version is the program's, not a setting.
	Version string

	presets map[string]bool // settings that a mode has set
}

// Process holds what concerns the process as a whole.
type Process struct {
	// NodeEnv production raises a warning for each development setting.
	NodeEnv string `env:"NODE_ENV"`
	// InstanceID names this instance to clients and operators: host name and a
	// random suffix unless set.
	InstanceID string `env:"INSTANCE_ID"`
}

// Load reads settings from environment entries of the form NAME=value. Its
// error joins every fault, each on a line that names the setting. Secrets are
// in none of them. With an error the Config holds what could be read.
func Load(environ []string, version string) (Config, error) {
	c := Config{Version: version}
	vars := env.ToMap(environ)
	maps.DeleteFunc(vars, unset)
	c.preset(vars)
	var faults []error
	if err := env.ParseWithOptions(&c, env.Options{Environment: vars}); err != nil {
		faults = append(faults, parseFaults(err, vars)...)
	}
	faults = append(faults, absent(vars)...)
	c.complete()
	unread := faults
	for _, fault := range c.validate() {
		if !said(unread, fault) {
			faults = append(faults, fault)
		}
	}
	return c, errors.Join(faults...)
}

// unset tells of a variable that nobody has set as a setting: it is empty, or
// what Kubernetes makes of a service that is called redis.
func unset(name, value string) bool {
	return value == "" || name == "REDIS_PORT" && strings.HasPrefix(value, "tcp://")
}

// complete tidies lists, and fills in what follows from other settings or has
// no constant default.
func (c *Config) complete() {
	c.Gateway.CloseTimeout = c.Transport.CloseTimeout
	c.SocketIO.MaxPacketBytes, c.SocketIO.PacketTimeout = c.Transport.MaxMessageBytes, c.Transport.MessageTimeout
	c.SocketIO.ConnectTimeout, c.SocketIO.MaxMissedBytes = c.Gateway.AuthDeadline, c.Transport.SendQueueBytes/2
	c.Engine.MaxPayload, c.Engine.SendQueueBytes = c.Transport.MaxMessageBytes, c.Transport.SendQueueBytes
	c.Engine.MessageTimeout, c.Engine.WriteTimeout = c.Transport.MessageTimeout, c.Transport.WriteTimeout
	c.Engine.CloseTimeout = c.Transport.CloseTimeout
	c.Peer.MaxBody, c.Peer.BodyTimeout, c.Peer.WriteTimeout = c.Transport.MaxMessageBytes, c.Transport.MessageTimeout, c.Transport.WriteTimeout
	c.Peer.HoldTime = c.Engine.PingInterval + c.Engine.PingTimeout + 15*time.Second
	if name := c.Peer.Host(); name != "" {
		c.Server.AdminAllowedHosts = append(c.Server.AdminAllowedHosts, name)
	}
	if level, _ := gateway.LevelOf(c.Gateway.SecurityLevel); level.RateLimits {
		c.Limit.RateLimiting = true
	}
	c.Policy.CanAsk, c.Policy.HasStreams = c.Auth.Authorizes(), c.Redis.Enabled()
	for _, list := range []*[]string{&c.Gateway.AllowedOrigins, &c.Server.AdminKeys, &c.Server.AdminAllowedHosts,
		&c.SocketIO.Namespaces,
		&c.Gateway.AllowedHosts, &c.Gateway.TrustedProxies, &c.Bridge.SigningSecrets, &c.Bridge.WebhookEvents,
		&c.Auth.Claims, &c.Auth.JWT.Algorithms, &c.Auth.JWT.Audience,
		&c.Redis.SentinelAddrs, &c.Redis.ClusterAddrs} {
		*list = tidy(*list)
	}
	c.Server.TrustedProxies = c.Gateway.TrustedProxies
	if c.Process.InstanceID != "" {
		return
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "gateway"
	}
	c.Process.InstanceID = host + "-" + strings.ToLower(rand.Text()[:6])
}

// said tells whether a setting is among the faults: a value that could not be
// read stands as zero, and what follows from that is not worth a line.
func said(faults []error, fault error) bool {
	name, _, _ := strings.Cut(fault.Error(), " ")
	return slices.ContainsFunc(faults, func(e error) bool { return strings.HasPrefix(e.Error(), name+" ") })
}

// validate asks every part.
func (c *Config) validate() []error {
	// For these parts zero stands for the default; who writes it means
	// something else.
	zero := slices.Concat(notPositive(c.Transport), notPositive(c.Broker), notPositive(c.Logs), notPositive(c.Engine), tooSmall(c.Transport.SendQueueBytes))
	faults := slices.Clone(zero)
	for _, part := range []interface{ Validate() error }{
		c.Log, c.Server, c.Gateway, c.Auth, c.Session, c.Limit, c.Life, c.Transport, c.Engine, c.SocketIO, c.Emitter, c.Broker, c.Logs, c.Redis, c.Cluster, c.Peer, c.Bridge, c.Commands, c.API, c.Console, c.Tracing, c.Tuning,
	} {
		for _, fault := range split(part.Validate()) {
			if !said(zero, fault) {
				faults = append(faults, fault)
			}
		}
	}
	if id := c.Process.InstanceID; len(id) > maxInstanceID || !utf8.ValidString(id) || strings.ContainsFunc(id, unicode.IsControl) {
		faults = append(faults, fmt.Errorf("INSTANCE_ID %q: want at most %d bytes of UTF-8 without control characters", id, maxInstanceID))
	}
	if _, err := policy.Default(c.Gateway.SecurityLevel); err == nil {
		if _, _, err := c.Policy.Load(c.Gateway.SecurityLevel); err != nil {
			faults = append(faults, fmt.Errorf("POLICY_FILE: %w", err))
		}
	}
	return faults
}

const maxInstanceID = 128

// minSendQueue has room for a greeting and the reply to a join: with less a
// connection would end before it began.
const minSendQueue = 4 << 10

// tooSmall names a queue that nobody could connect with.
func tooSmall(sendQueue int) []error {
	if sendQueue < 1 || sendQueue >= minSendQueue {
		return nil // the others say what is not positive
	}
	return []error{fmt.Errorf("SEND_QUEUE_BYTES %d: want at least %d", sendQueue, minSendQueue)}
}

// tidy trims the entries of a list and drops empty ones.
func tidy(list []string) []string {
	var out []string
	for _, entry := range list {
		if entry = strings.TrimSpace(entry); entry != "" {
			out = append(out, entry)
		}
	}
	return out
}

// StopTime is how long the process may take to stop, drain included.
func (c *Config) StopTime() time.Duration { return c.Gateway.DrainTime() + 20*time.Second }

// split takes joined errors apart, one per fault.
func split(err error) []error {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, split(e)...)
		}
		return all
	}
	if err == nil {
		return nil
	}
	return []error{err}
}
