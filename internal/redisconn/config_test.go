package redisconn_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/redisconn"
)

func TestEveryFaultOfTheSettingsIsNamed(t *testing.T) {
	notPEM := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(notPEM, []byte("no"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		cfg  redisconn.Config
		want []string // beginnings of lines; none: valid
	}{
		"nothing":                       {redisconn.Config{}, nil},
		"a host":                        {redisconn.Config{Host: "redis"}, nil},
		"an address of the sixth kind":  {redisconn.Config{Host: "::1"}, nil},
		"a URL":                         {redisconn.Config{URL: "rediss://u:p%40ss@redis:6380/2"}, nil},
		"a socket":                      {redisconn.Config{URL: "unix:///run/redis.sock?db=2"}, nil},
		"a URL and a password":          {redisconn.Config{URL: "redis://redis", Password: "x"}, nil},
		"sentinels":                     {redisconn.Config{SentinelAddrs: []string{"a:26379", "[::1]:26379"}}, nil},
		"a cluster":                     {redisconn.Config{ClusterAddrs: []string{"a:1", "b:2"}}, nil},
		"two places":                    {redisconn.Config{Host: "a", URL: "redis://b"}, []string{"REDIS_URL and REDIS_HOST are set: want one"}},
		"a password for nobody":         {redisconn.Config{Password: "hush"}, []string{"REDIS_PASSWORD is set, but nothing says where"}},
		"encryption for nobody":         {redisconn.Config{TLS: true}, []string{"REDIS_TLS is set, but"}},
		"a URL as the host":             {redisconn.Config{Host: "redis://u:hush@a"}, []string{"REDIS_HOST: want a name"}},
		"a port":                        {redisconn.Config{Host: "a", Port: 70000}, []string{"REDIS_PORT 70000: want"}},
		"an address without a port":     {redisconn.Config{SentinelAddrs: []string{"a:1", "b"}}, []string{"REDIS_SENTINEL_ADDRS: entry 2"}},
		"a URL as an address":           {redisconn.Config{ClusterAddrs: []string{"redis://u:hush@a:1"}}, []string{"REDIS_CLUSTER_ADDRS: entry 1"}},
		"a name with a space":           {redisconn.Config{SentinelAddrs: []string{"a:1"}, SentinelMaster: "my master"}, []string{"REDIS_SENTINEL_MASTER"}},
		"no URL":                        {redisconn.Config{URL: "redis://u:hush@%zz"}, []string{"REDIS_URL: want redis://"}},
		"another scheme":                {redisconn.Config{URL: "http://u:hush@a"}, []string{"REDIS_URL: want redis://"}},
		"parameters":                    {redisconn.Config{URL: "redis://a?max_retries=3"}, []string{"REDIS_URL: want no parameters"}},
		"two passwords":                 {redisconn.Config{URL: "redis://u:hush@a", Password: "hush"}, []string{"REDIS_PASSWORD is set, and"}},
		"two users":                     {redisconn.Config{URL: "redis://u:hush@a", Username: "v"}, []string{"REDIS_USERNAME is set, and"}},
		"two databases":                 {redisconn.Config{URL: "redis://a/1", DB: 2}, []string{"REDIS_DB is set, and"}},
		"an encrypted socket":           {redisconn.Config{URL: "unix:///a", TLS: true}, []string{"REDIS_TLS is set, but REDIS_URL"}},
		"a database of a cluster":       {redisconn.Config{ClusterAddrs: []string{"a:1"}, DB: 1}, []string{"REDIS_DB 1: want 0"}},
		"a database below all":          {redisconn.Config{Host: "a", DB: -1}, []string{"REDIS_DB -1"}},
		"certificates for nothing":      {redisconn.Config{Host: "a", TLSCAFile: notPEM}, []string{"REDIS_TLS_CA_FILE is set, but"}},
		"no certificates":               {redisconn.Config{Host: "a", TLS: true, TLSCAFile: notPEM}, []string{"REDIS_TLS_CA_FILE " + `"`}},
		"certificates that are missing": {redisconn.Config{URL: "rediss://a", TLSCAFile: "/nowhere"}, []string{"REDIS_TLS_CA_FILE: open"}},
		"several": {
			redisconn.Config{Host: "a", Prefix: "{x}", PoolSize: -1, CommandTimeout: time.Hour, DialTimeout: time.Nanosecond},
			[]string{"REDIS_KEY_PREFIX", "REDIS_POOL_SIZE -1", "REDIS_COMMAND_TIMEOUT 1h0m0s: want", "REDIS_DIAL_TIMEOUT 1ns: want"},
		},
	} {
		err := c.cfg.WithDefaults().Validate()
		var lines []string
		if err != nil {
			lines = strings.Split(err.Error(), "\n")
		}
		if len(lines) != len(c.want) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i, want := range c.want {
			if !strings.HasPrefix(lines[i], want) || strings.Contains(lines[i], "hush") {
				t.Errorf("%s: %q", name, lines[i])
			}
		}
	}
}

func TestZeroIsNoSetting(t *testing.T) {
	err := redisconn.Config{Host: "a"}.Validate()
	for _, want := range []string{"REDIS_PORT 0: want 1", "REDIS_POOL_SIZE 0", "REDIS_COMMAND_TIMEOUT 0s", "REDIS_DIAL_TIMEOUT 0s"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
}

func TestAManagerIsMadeOnlyOfSettingsThatAreValid(t *testing.T) {
	for _, cfg := range []redisconn.Config{{}, {Host: "a", DB: -1}} {
		if m, err := redisconn.New(cfg, zap.NewNop()); err == nil {
			m.Close()
			t.Errorf("%+v is taken", cfg)
		}
	}
}
