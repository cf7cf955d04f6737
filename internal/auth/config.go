package auth

import "fmt"

// ModeDevelopment takes credentials as user ids.
const ModeDevelopment = "development"

// Config holds the settings of authentication.
type Config struct {
	// Mode is empty (development for loopback peers only) or development,
	// which serves development identities to anybody who can connect.
	Mode string `env:"AUTH_MODE"`
}

// Validate names what is wrong with the settings.
func (c Config) Validate() error {
	switch c.Mode {
	case "", ModeDevelopment:
		return nil
	}
	return fmt.Errorf("AUTH_MODE %q: want development, or leave it unset for development on loopback alone", c.Mode)
}

// LoopbackOnly tells whether development identities are for loopback peers
// alone: nobody has asked to serve them to others.
func (c Config) LoopbackOnly() bool { return c.Mode == "" }

// Development tells whether development identities are served at all.
func (c Config) Development() bool { return c.Mode == "" || c.Mode == ModeDevelopment }
