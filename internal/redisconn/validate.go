package redisconn

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/redis/go-redis/v9"
)

const (
	maxPrefix  = 64
	maxPool    = 1000
	maxPort    = 65535
	maxTimeout = time.Minute
	minTimeout = 10 * time.Millisecond
)

// Validate names what is wrong with the settings, all of it. Neither passwords
// nor the URL are shown.
func (c Config) Validate() error {
	faults := []error{c.validPlace(), c.validAddrs(), c.validURL(), c.validDB(), c.validTLS(), c.validPrefix()}
	if c.Port < 1 || c.Port > maxPort {
		faults = append(faults, fmt.Errorf("REDIS_PORT %d: want 1 to %d", c.Port, maxPort))
	}
	if c.PoolSize < 1 || c.PoolSize > maxPool {
		faults = append(faults, fmt.Errorf("REDIS_POOL_SIZE %d: want 1 to %d", c.PoolSize, maxPool))
	}
	for _, timeout := range []struct {
		name string
		d    time.Duration
	}{{"REDIS_COMMAND_TIMEOUT", c.CommandTimeout}, {"REDIS_DIAL_TIMEOUT", c.DialTimeout}} {
		if timeout.d < minTimeout || timeout.d > maxTimeout {
			faults = append(faults, fmt.Errorf("%s %s: want %s to %s", timeout.name, timeout.d, minTimeout, maxTimeout))
		}
	}
	return errors.Join(faults...)
}

// validPlace wants one place, and nothing said of Redis without one: whoever
// sets a password wants a Redis, and would not get what they think.
func (c Config) validPlace() error {
	places := c.places()
	if len(places) > 1 {
		return fmt.Errorf("%s are set: want one of them", strings.Join(places, " and "))
	}
	if len(places) == 1 {
		return nil
	}
	for _, extra := range []struct {
		name string
		set  bool
	}{
		{"REDIS_USERNAME", c.Username != ""},
		{"REDIS_PASSWORD", c.Password != ""},
		{"REDIS_TLS", c.TLS},
		{"REDIS_SENTINEL_PASSWORD", c.SentinelPassword != ""},
	} {
		if extra.set {
			return fmt.Errorf("%s is set, but nothing says where Redis is: set REDIS_URL, REDIS_HOST, REDIS_SENTINEL_ADDRS or REDIS_CLUSTER_ADDRS", extra.name)
		}
	}
	return nil
}

func (c Config) validAddrs() error {
	var faults []error
	if strings.ContainsFunc(c.Host, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune("/@", r) }) {
		faults = append(faults, errors.New("REDIS_HOST: want a name or an address, without scheme and port"))
	}
	for _, list := range []struct {
		name  string
		addrs []string
	}{{"REDIS_SENTINEL_ADDRS", c.SentinelAddrs}, {"REDIS_CLUSTER_ADDRS", c.ClusterAddrs}} {
		for i, addr := range list.addrs {
			if !validAddr(addr) {
				faults = append(faults, fmt.Errorf("%s: entry %d: want host:port", list.name, i+1))
			}
		}
	}
	if strings.ContainsFunc(c.SentinelMaster, unicode.IsSpace) {
		faults = append(faults, fmt.Errorf("REDIS_SENTINEL_MASTER %q: want a name without spaces", c.SentinelMaster))
	}
	return errors.Join(faults...)
}

// validAddr does not let a URL pass, which may hold a password.
func validAddr(addr string) bool {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host == "" || strings.ContainsAny(host, "/@ ") {
		return false
	}
	n, err := strconv.Atoi(port)
	return err == nil && n >= 1 && n <= maxPort
}

// validURL never shows the URL: what cannot be read may still hold a password.
func (c Config) validURL() error {
	if c.URL == "" {
		return nil
	}
	u, err := url.Parse(c.URL)
	if err != nil {
		return errors.New("REDIS_URL: want redis://host:port/db, rediss://… or unix:///path; characters such as @ : / # in a password are written in percent encoding")
	}
	for name := range u.Query() {
		if name != "db" {
			return errors.New("REDIS_URL: want no parameters but db; the REDIS_ settings say the rest")
		}
	}
	options, err := redis.ParseURL(c.URL)
	if err != nil {
		return errors.New("REDIS_URL: want redis://host:port/db, rediss://… or unix:///path")
	}
	return c.saidTwice(options)
}

// saidTwice finds what the URL says and a setting too.
func (c Config) saidTwice(url *redis.Options) error {
	if url.Network == "unix" && c.TLS {
		return errors.New("REDIS_TLS is set, but REDIS_URL names a socket, which has none")
	}
	for _, both := range []struct {
		name, what   string
		inURL, apart bool
	}{
		{"REDIS_PASSWORD", "password", url.Password != "", c.Password != ""},
		{"REDIS_USERNAME", "user", url.Username != "", c.Username != ""},
		{"REDIS_DB", "database", url.DB != 0, c.DB != 0},
	} {
		if both.inURL && both.apart {
			return fmt.Errorf("%s is set, and REDIS_URL holds a %s too: want one of them", both.name, both.what)
		}
	}
	return nil
}

func (c Config) validDB() error {
	switch {
	case c.DB < 0:
		return fmt.Errorf("REDIS_DB %d: want 0 or more", c.DB)
	case c.DB > 0 && len(c.ClusterAddrs) > 0:
		return fmt.Errorf("REDIS_DB %d: want 0, a cluster has no other", c.DB)
	}
	return nil
}

func (c Config) validTLS() error {
	if c.TLSCAFile == "" {
		return nil
	}
	if !c.TLS && !strings.HasPrefix(c.URL, "rediss://") {
		return errors.New("REDIS_TLS_CA_FILE is set, but connections are not encrypted: set REDIS_TLS=true")
	}
	_, err := certificates(c.TLSCAFile)
	return err
}

// validPrefix keeps braces out: the first pair in a key must be the tag's.
func (c Config) validPrefix() error {
	bad := func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune("{}*?[]\\", r)
	}
	if len(c.Prefix) > maxPrefix || !utf8.ValidString(c.Prefix) || strings.ContainsFunc(c.Prefix, bad) {
		return fmt.Errorf("REDIS_KEY_PREFIX %q: want at most %d bytes without spaces, braces and the characters * ? [ ] \\", c.Prefix, maxPrefix)
	}
	return nil
}
