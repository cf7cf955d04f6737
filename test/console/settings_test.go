package console

import (
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/moonx-farm/ws-gateway/test/testbed/browser"
)

// settingRow is the row of a setting, "" without one.
func settingRow(b *browser.Tab, name string) string {
	return browser.Eval[string](b, `[...document.querySelectorAll('[data-testid="settings"] tbody tr')]
		.find((row) => row.querySelector('th').innerText === %s)?.innerText ?? ''`, browser.Quote(name))
}

func TestTheConfigurationShowsSettingsPolicyAndHealthAndNoSecret(t *testing.T) {
	f := start(t, "WEBHOOK_URL=https://hooks.example/in", "SIGNING_SECRETS=a secret for signatures of 32 bytes and more")
	b := f.open(t, "settings")
	b.WaitText(`[data-testid="of"]`, "instance one")
	b.WaitText(`[data-testid="health"]`, "redis")
	b.WaitText(`[data-testid="yaml"]`, "price:*")
	b.WaitText(`[data-testid="policy"]`, "policy.yaml, since")
	b.WaitText(`[data-testid="notes"]`, "development identities")
	b.WaitText(`[data-testid="reloads"]`, "in step")
	for name, want := range map[string]string{
		"ADMIN_API_KEYS": "(secret)", "REDIS_URL": "(secret)", "SIGNING_SECRETS": "(secret)", "WEBHOOK_URL": "https://hooks.example/in",
		"INSTANCE_TTL": "3s", "HEARTBEAT_INTERVAL": "25s",
	} {
		if got := settingRow(b, name); !strings.Contains(got, want) || strings.Contains(got, "set") != (name != "HEARTBEAT_INTERVAL") {
			t.Errorf("%s shows %q, want %q", name, got, want)
		}
	}
	for _, secret := range []string{apiKey, f.redis.Addr(), "a secret for signatures"} {
		if strings.Contains(browser.Eval[string](b, `document.documentElement.outerHTML`), secret) {
			t.Errorf("the page holds %s", secret)
		}
	}
	inspect(t, b, "settings")

	b.Fill("#settings-filter", "heartbeat")
	b.WaitText(`[data-testid="settings-count"]`, "2 of ")
	b.Fill("#settings-filter", " ")
	b.Click("#settings-changed")
	b.Until("only what was set is there", func() bool {
		return settingRow(b, "HEARTBEAT_INTERVAL") == "" && settingRow(b, "INSTANCE_TTL") != ""
	})
	b.Fill("#settings-filter", "no such setting")
	b.WaitText(`[data-testid="settings"]`, "No setting is like that.")
	b.Press(kb.Tab)
	if !b.Focused("#settings-changed") {
		t.Error("Tab does not lead from the filter to its switch")
	}
	b.MustBeRight()
}

func TestTheConfigurationFollowsAReloadAndSaysWhenOneFails(t *testing.T) {
	f := start(t)
	var path string
	for _, entry := range f.environ {
		if file, ok := strings.CutPrefix(entry, "POLICY_FILE="); ok {
			path = file
		}
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b := f.open(t, "settings")
	b.WaitText(`[data-testid="yaml"]`, "price:*")
	b.Fill("#settings-filter", "ttl")
	write(policyText + "# changed\n")
	b.WaitText(`[data-testid="yaml"]`, "# changed") // by itself
	write("version: 7\n")
	b.WaitText(`[data-testid="reloads"]`, "failing: what was in force stays")
	b.WaitText(`[data-testid="health"]`, "a reload failed: policy")
	b.WaitText(`[data-testid="health"] .heading`, "degraded")
	b.WaitText("#announcer", "Health: degraded")
	b.WaitText(`[data-testid="yaml"]`, "# changed")
	if !b.Focused("#settings-filter") {
		t.Error("what the page shows anew took the focus away")
	}
	inspect(t, b, "settings-degraded")
	b.MustBeRight()
}
