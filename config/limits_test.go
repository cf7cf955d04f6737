package config

import "testing"

func TestRatesAreLimitedAsTheLevelSays(t *testing.T) {
	for _, c := range []struct {
		environ []string
		want    bool
	}{
		{nil, false},
		{[]string{"RATE_LIMITING_ENABLED=true"}, true},
		{[]string{"SECURITY_LEVEL=standard"}, false},
		{[]string{"SECURITY_LEVEL=strict"}, true},
		{[]string{"SECURITY_LEVEL=strict", "RATE_LIMITING_ENABLED=false"}, true},
	} {
		cfg, err := Load(c.environ, "")
		if err != nil {
			t.Fatal(err)
		}
		if cfg.Limit.RateLimiting != c.want {
			t.Errorf("%v: %v", c.environ, cfg.Limit.RateLimiting)
		}
	}
}

func TestListsOfNamesAreTrimmed(t *testing.T) {
	cfg, err := Load([]string{"TRUSTED_PROXIES= 10.0.0.0/8 ,, ::1", "ALLOWED_HOSTS=a.example , *.b.example"}, "")
	if err != nil {
		t.Fatal(err)
	}
	if p, h := cfg.Gateway.TrustedProxies, cfg.Gateway.AllowedHosts; len(p) != 2 || p[1] != "::1" || len(h) != 2 || h[0] != "a.example" {
		t.Errorf("%q, %q", p, h)
	}
}
