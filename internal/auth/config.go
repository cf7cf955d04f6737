package auth

// Config holds the settings of authentication.
type Config struct {
	// Mode is empty (development for loopback peers only) or development,
	// which serves development identities to anybody who can connect.
	Mode string `env:"AUTH_MODE"`
}
