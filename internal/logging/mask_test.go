package logging

import "testing"

func TestWhatMayBeSecretInAURLIsMasked(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "",
		"0.0.0.0:3007":                   "0.0.0.0:3007",
		"https://a.example/in":           "https://a.example/in",
		"https://a.example:8443/%2Fin":   "https://a.example:8443/%2Fin",
		"https://a.example/in?code=s":    "https://a.example/in?(secret)",
		"https://u:s@a.example/in?a=1@2": "https://(secret)@a.example/in?(secret)",
		"https://u:pa,ss@a.example":      "https://(secret)@a.example",
		"https://u:pa/ss@a.example":      "https://(secret)@a.example",
		"u:s3cret@c.example:4318":        "(secret)@c.example:4318",
		"unix:///run/redis.sock?db=1":    "unix:///run/redis.sock?(secret)",
		"https://*.shop.example:8443":    "https://*.shop.example:8443",
		"ann@example.com":                "ann@example.com",
	} {
		if got := MaskURL(text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestURLsWithinATextAreMasked(t *testing.T) {
	got := MaskURLs("http: {url: \"https://o.example/in?code=s\"} # was http://u:s@old/x\nurl: 'https://p.example/y'\n")
	want := "http: {url: \"https://o.example/in?(secret)\"} # was http://(secret)@old/x\nurl: 'https://p.example/y'\n"
	if got != want {
		t.Error(got)
	}
}
