package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestNothingSetIsTheDocumentedDefault(t *testing.T) {
	c, err := Load(nil, "v1")
	if err != nil {
		t.Fatal(err)
	}
	if c.Server.Port != 3007 || c.Server.AdminPort != 9007 || c.Server.Host != "0.0.0.0" || c.Server.AdminHost != "127.0.0.1" {
		t.Errorf("addresses: %+v", c.Server)
	}
	if c.Gateway.MaxConnections != 1_000_000 || c.Gateway.SecurityLevel != "minimal" || c.Gateway.DrainWindow != 20*time.Second ||
		c.Gateway.AuthDeadline != 10*time.Second || c.Gateway.AllowedOrigins != nil {
		t.Errorf("gateway: %+v", c.Gateway)
	}
	if c.Transport.HeartbeatInterval != 25*time.Second || c.Transport.HeartbeatTimeout != 20*time.Second ||
		c.Transport.MaxMessageBytes != 64<<10 || c.Transport.SendQueueBytes != 1<<20 || c.Transport.Compression {
		t.Errorf("transport: %+v", c.Transport)
	}
	if c.Broker.IdempotencyTTL != 5*time.Minute || !c.Auth.LoopbackOnly() || c.Version != "v1" || c.Process.InstanceID == "" {
		t.Errorf("rest: %+v", c)
	}
}

func TestEveryFaultIsReportedAtOnceAndOnce(t *testing.T) {
	_, err := Load([]string{
		"PORT=abc", "ADMIN_PORT=70000", "MAX_CONNECTIONS=many", "COMPRESSION=perhaps", "HEARTBEAT_INTERVAL=25",
		"SECURITY_LEVEL=paranoid", "AUTH_MODE=jwt", "TRANSPORT=carrier-pigeon", "LOG_LEVEL=loud",
		"ALLOWED_ORIGINS=https://a.example,example.com", "AUTH_SERVICE_URL=http://auth", "REDIS_PASSWORD=hush",
		"TLS_CERT_FILE=/nowhere/cert.pem", "MAX_ROOMS_PER_CONNECTION=0", "BROKER_MEMORY_BYTES=1", "ADMIN_API_KEYS=short",
	}, "")
	if err == nil {
		t.Fatal("accepted")
	}
	lines := strings.Split(err.Error(), "\n")
	for _, want := range []string{
		`PORT "abc": want a whole number`, `ADMIN_PORT 70000: want 0 to 65535`, `MAX_CONNECTIONS "many": want a whole number`,
		`COMPRESSION "perhaps": want true or false`, `HEARTBEAT_INTERVAL "25": want a duration such as 500ms, 25s or 5m`,
		`SECURITY_LEVEL "paranoid": want minimal, standard or strict`, `AUTH_JWT_SECRET or AUTH_JWT_JWKS_URL`, `TRANSPORT "carrier-pigeon"`,
		`LOG_LEVEL "loud"`, `ALLOWED_ORIGINS "example.com"`, `AUTH_SERVICE_URL is set`, `REDIS_PASSWORD is set, but nothing says where Redis is`,
		`TLS_CERT_FILE and TLS_KEY_FILE`, `MAX_ROOMS_PER_CONNECTION 0`, `BROKER_MEMORY_BYTES 1:`, `ADMIN_API_KEYS: key 1`,
	} {
		n := 0
		for _, line := range lines {
			if strings.HasPrefix(line, want) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%q is said %d times", want, n)
		}
	}
	if len(lines) != 16 {
		t.Errorf("%d lines:\n%s", len(lines), err)
	}
	if strings.Contains(err.Error(), "short") || strings.Contains(err.Error(), "hush") {
		t.Error("a key stands in the error")
	}
}

func TestEveryFaultOfOneSettingIsReported(t *testing.T) {
	_, err := Load([]string{
		"ALLOWED_ORIGINS=one.example,two.example", "ADMIN_API_KEYS=short,0123456789abcdef,brief", "LOG_LEVEL=loud", "LOG_FORMAT=xml",
		"AUTH_JWT_PUBLIC_KEY=x", "GC_PERCENT=5", "RATE_LIMITING_ENABLED=0", "INSTANCE_ID=a\nb",
	}, "")
	if err == nil {
		t.Fatal("accepted")
	}
	if _, err := Load([]string{"HEARTBEAT_INTERVAL=0s", "WRITE_TIMEOUT=-1s", "IDEMPOTENCY_TTL=-1s", "MAX_MESSAGE_BYTES=0"}, ""); err == nil ||
		strings.Count(err.Error(), "want more than 0") != 4 || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("what would not be in force: %v", err)
	}
	var names []string
	for line := range strings.Lines(err.Error()) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), ":")
		names = append(names, strings.Join(strings.Fields(name)[:min(2, len(strings.Fields(name)))], " "))
	}
	want := `AUTH_JWT_PUBLIC_KEY is|LOG_LEVEL "loud"|LOG_FORMAT "xml"|ADMIN_API_KEYS|ADMIN_API_KEYS|` +
		`ALLOWED_ORIGINS "one.example"|ALLOWED_ORIGINS "two.example"|GC_PERCENT 5|INSTANCE_ID "a\nb"`
	if got := strings.Join(names, "|"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestEmptyIsUnsetAndListsAreTrimmed(t *testing.T) {
	c, err := Load([]string{"PORT=", "REDIS_HOST=", "RATE_LIMITING_ENABLED=false",
		"ALLOWED_ORIGINS= https://a.example , ,https://*.b.example:8443"}, "")
	if err != nil || c.Server.Port != 3007 || strings.Join(c.Gateway.AllowedOrigins, "|") != "https://a.example|https://*.b.example:8443" {
		t.Errorf("%+v, %v", c.Gateway.AllowedOrigins, err)
	}
}

func TestRedisIsFoundAsItIsSet(t *testing.T) {
	const embedded = "embedded broker"
	c, err := Load([]string{"REDIS_PORT=tcp://10.0.0.7:6379"}, "") // by Kubernetes, for a service called redis
	if err != nil || c.Redis.Enabled() || !strings.Contains(strings.Join(c.Notes(), "\n"), embedded) {
		t.Errorf("without: %+v, %v", c.Redis, err)
	}
	c, err = Load([]string{"REDIS_SENTINEL_ADDRS= a:26379 ,, b:26379", "REDIS_PASSWORD=hush"}, "")
	if err != nil || strings.Join(c.Redis.SentinelAddrs, "|") != "a:26379|b:26379" || !c.Redis.Enabled() ||
		c.Redis.Prefix != "ws-gateway:" || strings.Contains(strings.Join(c.Notes(), "\n"), embedded) {
		t.Errorf("with: %+v, %v", c.Redis, err)
	}
	_, err = Load([]string{"REDIS_HOST=a", "REDIS_URL=redis://u:hush@b", "REDIS_PORT=six", "REDIS_COMMAND_TIMEOUT=0s"}, "")
	if err == nil || strings.Contains(err.Error(), "hush") || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("faults: %v", err)
	}
}

func TestTheStopIsGivenWhatADrainMayTake(t *testing.T) {
	before, err := Load(nil, "")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Load([]string{"DRAIN_DELAY=1s", "DRAIN_WINDOW=30s", "CLOSE_TIMEOUT=25s"}, "")
	if err != nil {
		t.Fatal(err)
	}
	if more := c.StopTime() - before.StopTime(); more != 31*time.Second {
		t.Errorf("1 s, 10 s and 20 s more than the defaults make %v more", more)
	}
}

func TestAPolicyFileIsReadStrictly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(path, []byte("version: 1\nroms: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load([]string{"POLICY_FILE=" + path}, ""); err == nil || !strings.Contains(err.Error(), "POLICY_FILE: ") || !strings.Contains(err.Error(), "roms") {
		t.Errorf("got %v", err)
	}
}

func TestSecretsAreMaskedAndWhatWasSetIsMarked(t *testing.T) {
	c, err := Load([]string{"ADMIN_API_KEYS=0123456789abcdef,fedcba9876543210", "DRAIN_WINDOW=1m30s"}, "")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := c.Write(&b); err != nil {
		t.Fatal(err)
	}
	out := b.String()
	if strings.Contains(out, "0123456789") || strings.Contains(out, "fedcba") {
		t.Error("a key was printed")
	}
	for _, want := range []string{"ADMIN_API_KEYS=(secret)   # not the default\n", "DRAIN_WINDOW=1m30s   # not the default\n", "PORT=3007\n", "IDEMPOTENCY_TTL=5m\n", "AUTH_MODE=\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("no line %q in\n%s", want, out)
		}
	}
	if got := strings.Count(out, "\n"); got != len(Names()) {
		t.Errorf("%d lines for %d settings", got, len(Names()))
	}
}

func TestTheUserinfoOfURLsIsMasked(t *testing.T) {
	c, _ := Load([]string{ // some of these refuse userinfo, and are shown all the same
		"WEBHOOK_URL=https://hooks:s3cret@hooks.example/in?a=1@2", "ADVERTISE_URL=wss://u:s3cret@gateway.example", "REDIS_URL=redis://:s3cret@redis:6379",
		"ALLOWED_ORIGINS=https://x:s3cret@a.example,https://b.example",
	}, "")
	shown := map[string]string{}
	for _, s := range c.Effective() {
		shown[s.Name] = s.Value
		if strings.Contains(s.Value, "s3cret") {
			t.Errorf("%s shows %s", s.Name, s.Value)
		}
		if s.Changed != (s.Value != s.Default) && !s.Secret {
			t.Errorf("%+v", s)
		}
	}
	for name, want := range map[string]string{
		"WEBHOOK_URL": "https://(secret)@hooks.example/in?(secret)", "REDIS_URL": "(secret)",
		"ALLOWED_ORIGINS": "https://(secret)@a.example,https://b.example",
	} {
		if shown[name] != want {
			t.Errorf("%s shows %q, want %q", name, shown[name], want)
		}
	}
}

func TestAQueueThatNobodyCouldConnectWithIsAFault(t *testing.T) {
	if _, err := Load([]string{"SEND_QUEUE_BYTES=4095"}, ""); err == nil || err.Error() != "SEND_QUEUE_BYTES 4095: want at least 4096" {
		t.Errorf("got %v", err)
	}
	if _, err := Load([]string{"SEND_QUEUE_BYTES=4096"}, ""); err != nil {
		t.Error(err)
	}
}
