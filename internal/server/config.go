package server

// Config holds the addresses and certificates of the HTTP servers.
type Config struct {
	Host      string `env:"HOST" envDefault:"0.0.0.0"`
	Port      int    `env:"PORT" envDefault:"3007"`
	AdminHost string `env:"ADMIN_HOST" envDefault:"127.0.0.1"`
	AdminPort int    `env:"ADMIN_PORT" envDefault:"9007"`
	// TLSCertFile and TLSKeyFile turn on TLS in the process on the public
	// port; both or neither.
	TLSCertFile string `env:"TLS_CERT_FILE"`
	TLSKeyFile  string `env:"TLS_KEY_FILE"`
}
