package redisconn

import "time"

// Config holds where Redis is and how to speak to it. One of URL, Host,
// SentinelAddrs and ClusterAddrs says which kind it is; with none of them the
// gateway runs without Redis.
type Config struct {
	// URL is redis://user:password@host:port/db, rediss:// for TLS, or
	// unix:///path?db=n.
	URL string `env:"REDIS_URL" secret:"true"`
	// Host and Port name a single server.
	Host string `env:"REDIS_HOST"`
	// Port is used with Host alone.
	Port int `env:"REDIS_PORT" envDefault:"6379"`
	// Username and Password are for Redis itself, whichever kind it is.
	Username string `env:"REDIS_USERNAME"`
	// Password may stand in URL instead.
	Password string `env:"REDIS_PASSWORD" secret:"true"`
	// DB is the number of the database; a cluster has 0 alone.
	DB int `env:"REDIS_DB"`
	// TLS encrypts connections to Redis and to Sentinel.
	TLS bool `env:"REDIS_TLS"`
	// TLSCAFile holds the certificates (PEM) that are trusted instead of the
	// system's.
	TLSCAFile string `env:"REDIS_TLS_CA_FILE"`

	// SentinelAddrs are host:port of Sentinels; one that lives is enough.
	SentinelAddrs []string `env:"REDIS_SENTINEL_ADDRS"`
	// SentinelMaster is the name under which they watch the master.
	SentinelMaster string `env:"REDIS_SENTINEL_MASTER" envDefault:"mymaster"`
	// SentinelUsername and SentinelPassword are for Sentinel itself.
	SentinelUsername string `env:"REDIS_SENTINEL_USERNAME"`
	// SentinelPassword is not sent to Redis.
	SentinelPassword string `env:"REDIS_SENTINEL_PASSWORD" secret:"true"`

	// ClusterAddrs are host:port of some nodes; the others are found.
	ClusterAddrs []string `env:"REDIS_CLUSTER_ADDRS"`

	// Prefix begins every key and channel.
	Prefix string `env:"REDIS_KEY_PREFIX" envDefault:"ws-gateway:"`
	// CommandTimeout bounds the wait for one answer.
	CommandTimeout time.Duration `env:"REDIS_COMMAND_TIMEOUT" envDefault:"3s"`
	// DialTimeout bounds one attempt to connect, TLS included.
	DialTimeout time.Duration `env:"REDIS_DIAL_TIMEOUT" envDefault:"2s"`
	// PoolSize bounds the connections to one server for commands that are not
	// pipelined.
	PoolSize int `env:"REDIS_POOL_SIZE" envDefault:"32"`
}

// Enabled tells whether there is a Redis at all.
func (c Config) Enabled() bool { return len(c.places()) > 0 }

// places are the settings that say where Redis is, as far as they are set.
func (c Config) places() []string {
	var set []string
	for _, place := range []struct {
		name string
		set  bool
	}{
		{"REDIS_URL", c.URL != ""},
		{"REDIS_HOST", c.Host != ""},
		{"REDIS_SENTINEL_ADDRS", len(c.SentinelAddrs) > 0},
		{"REDIS_CLUSTER_ADDRS", len(c.ClusterAddrs) > 0},
	} {
		if place.set {
			set = append(set, place.name)
		}
	}
	return set
}

// WithDefaults fills in what is zero, as New does: for configurations that are
// not read from the environment.
func (c Config) WithDefaults() Config {
	if c.Port == 0 {
		c.Port = 6379
	}
	if c.SentinelMaster == "" {
		c.SentinelMaster = "mymaster"
	}
	if c.Prefix == "" {
		c.Prefix = "ws-gateway:"
	}
	if c.CommandTimeout == 0 {
		c.CommandTimeout = 3 * time.Second
	}
	if c.DialTimeout == 0 {
		c.DialTimeout = 2 * time.Second
	}
	if c.PoolSize == 0 {
		c.PoolSize = 32
	}
	return c
}
