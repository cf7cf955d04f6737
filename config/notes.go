package config

import "github.com/moonx-farm/ws-gateway/internal/policy"

// Production tells whether NODE_ENV says that others depend on this process.
func (c *Config) Production() bool { return c.Process.NodeEnv == "production" }

// Notes says in plain words what of the settings is for development, and what
// is likely not meant. It is for the log at start.
func (c *Config) Notes() []string {
	var notes []string
	switch {
	case c.Auth.LoopbackOnly():
		notes = append(notes, "development identities: whoever connects from this machine is whom they say they are; others are refused (AUTH_MODE is unset)")
	case c.Auth.Development():
		notes = append(notes, "development identities: ANYBODY who can connect is whom they say they are (AUTH_MODE=development)")
	}
	minimal := c.Gateway.SecurityLevel == policy.Minimal
	if minimal {
		notes = append(notes, "guests are let in and tokens are taken from URLs (SECURITY_LEVEL=minimal)")
	}
	if minimal && c.Policy.File == "" {
		notes = append(notes, "any room but those of users can be joined by anyone and published to by its members (POLICY_FILE is unset)")
	}
	if !minimal && len(c.Gateway.AllowedOrigins) == 0 {
		notes = append(notes, "no browser can connect: ALLOWED_ORIGINS is empty, and SECURITY_LEVEL="+c.Gateway.SecurityLevel+" takes listed origins alone")
	}
	if !c.Redis.Enabled() {
		notes = append(notes, "rooms and their history live in this process alone and end with it (embedded broker)")
	}
	return notes
}
