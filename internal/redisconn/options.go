package redisconn

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Ordinary commands are tried twice, this far apart: long enough for a
// failover that has just been decided, short enough for a request.
const (
	commandRetries = 1
	retryDelay     = 50 * time.Millisecond
	noRetries      = -1
	// maxRedirects of a cluster's client: one repeat, and one answer that the
	// slot is elsewhere.
	maxRedirects = 2
	noPipelines  = -1 // no pool for pipelines
	// probePool is for a look and for somebody who asks whether Redis is ready.
	probePool = 2
)

// maker makes clients that differ in how often they try and in their pools.
type maker struct {
	cfg Config         // immutable
	to  *redis.Options // the single server, or what all nodes have in common; immutable
}

func newMaker(cfg Config) (*maker, error) {
	to := &redis.Options{
		Addr: net.JoinHostPort(cfg.Host, strconv.Itoa(cfg.Port)), DB: cfg.DB,
		Username: cfg.Username, Password: cfg.Password,
	}
	if cfg.URL != "" {
		parsed, err := redis.ParseURL(cfg.URL)
		if err != nil {
			return nil, cfg.validURL() // says it without the URL
		}
		to.Network, to.Addr = parsed.Network, parsed.Addr
		to.DB = max(parsed.DB, cfg.DB)
		to.Username, to.Password = first(parsed.Username, cfg.Username), first(parsed.Password, cfg.Password)
		cfg.TLS = cfg.TLS || parsed.TLSConfig != nil
	}
	if cfg.TLS {
		to.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		if cfg.TLSCAFile != "" {
			roots, err := certificates(cfg.TLSCAFile)
			if err != nil {
				return nil, err
			}
			to.TLSConfig.RootCAs = roots
		}
	}
	return &maker{cfg, to}, nil
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// certificates reads the PEM file that REDIS_TLS_CA_FILE names.
func certificates(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("REDIS_TLS_CA_FILE: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("REDIS_TLS_CA_FILE %q: want certificates in PEM", file)
	}
	return roots, nil
}

// node makes a client of one server; addr "" is the configured one.
func (mk *maker) node(addr string, retries, pool int) *redis.Client {
	return hooked(redis.NewClient(&redis.Options{
		Network: mk.to.Network, Addr: first(addr, mk.to.Addr), DB: mk.to.DB,
		Username: mk.to.Username, Password: mk.to.Password, TLSConfig: mk.to.TLSConfig,
		MaxRetries: retries, MinRetryBackoff: retryDelay, MaxRetryBackoff: retryDelay,
		DialTimeout: mk.cfg.DialTimeout, DialerRetries: 1,
		ReadTimeout: mk.cfg.CommandTimeout, WriteTimeout: mk.cfg.CommandTimeout,
		ContextTimeoutEnabled: true, PoolSize: pool, PipelinePoolSize: pipelines(pool),
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}))
}

func hooked(c *redis.Client) *redis.Client {
	c.AddHook(eager{})
	return c
}

// pipelines is the size of a pool for pipelines next to one for commands: a
// probe has none, the others have the library's default.
func pipelines(pool int) int {
	if pool == probePool {
		return noPipelines
	}
	return 0
}

// failover makes a client of whichever server Sentinel calls the master.
func (mk *maker) failover(retries, pool int) *redis.Client {
	return hooked(redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName: mk.cfg.SentinelMaster, SentinelAddrs: mk.cfg.SentinelAddrs,
		SentinelUsername: mk.cfg.SentinelUsername, SentinelPassword: mk.cfg.SentinelPassword,
		DB: mk.to.DB, Username: mk.to.Username, Password: mk.to.Password, TLSConfig: mk.to.TLSConfig,
		MaxRetries: retries, MinRetryBackoff: retryDelay, MaxRetryBackoff: retryDelay,
		DialTimeout: mk.cfg.DialTimeout, DialerRetries: 1,
		ReadTimeout: mk.cfg.CommandTimeout, WriteTimeout: mk.cfg.CommandTimeout,
		ContextTimeoutEnabled: true, PoolSize: pool, PipelinePoolSize: pipelines(pool),
	}))
}

// cluster makes a client that follows the cluster's slots by itself.
func (mk *maker) cluster() *redis.ClusterClient {
	c := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: mk.cfg.ClusterAddrs, Username: mk.to.Username, Password: mk.to.Password, TLSConfig: mk.to.TLSConfig,
		MaxRedirects: maxRedirects, MinRetryBackoff: retryDelay, MaxRetryBackoff: retryDelay,
		DialTimeout: mk.cfg.DialTimeout, DialerRetries: 1,
		ReadTimeout: mk.cfg.CommandTimeout, WriteTimeout: mk.cfg.CommandTimeout,
		ContextTimeoutEnabled: true, PoolSize: mk.cfg.PoolSize,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	c.OnNewNode(func(node *redis.Client) { hooked(node) })
	return c
}

// master makes a client of the master of the shard with an ID.
func (mk *maker) master(id string, pool int) *redis.Client {
	switch {
	case len(mk.cfg.ClusterAddrs) > 0:
		return mk.node(id, noRetries, pool)
	case len(mk.cfg.SentinelAddrs) > 0:
		return mk.failover(noRetries, pool)
	}
	return mk.node("", noRetries, pool)
}

// ordinary makes the client that Manager.Client hands out.
func (mk *maker) ordinary() redis.UniversalClient {
	switch {
	case len(mk.cfg.ClusterAddrs) > 0:
		return mk.cluster()
	case len(mk.cfg.SentinelAddrs) > 0:
		return mk.failover(commandRetries, mk.cfg.PoolSize)
	}
	return mk.node("", commandRetries, mk.cfg.PoolSize)
}
