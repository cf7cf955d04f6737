package server

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"
)

// Config holds the addresses, certificates and admin keys of the HTTP servers.
type Config struct {
	// Host and Port are where clients connect. Port 0 takes any free one.
	Host string `env:"HOST" envDefault:"0.0.0.0"`
	Port int    `env:"PORT" envDefault:"3007"`
	// AdminHost and AdminPort are where operators connect.
	AdminHost string `env:"ADMIN_HOST" envDefault:"127.0.0.1"`
	AdminPort int    `env:"ADMIN_PORT" envDefault:"9007"`
	// AdminKeys are the keys of the admin port, any of which is taken: two
	// while one replaces the other. At least 16 bytes each.
	AdminKeys []string `env:"ADMIN_API_KEYS" envSeparator:"," secret:"true"`
	// AdminKeysFile is a file of more keys, one to a line, read again when it
	// changes: keys are then replaced without a restart.
	AdminKeysFile string `env:"ADMIN_API_KEYS_FILE"`
	// AdminAllowedHosts are the names under which the admin port may be
	// asked, besides IP addresses and names of this machine.
	AdminAllowedHosts []string `env:"ADMIN_ALLOWED_HOSTS" envSeparator:","`
	// HandshakeTimeout is how long a client may take to send the head of a
	// request, TLS handshake apart, which may take as long. Zero: 10 s.
	HandshakeTimeout time.Duration `env:"HANDSHAKE_TIMEOUT" envDefault:"10s"`
	// TLSCertFile and TLSKeyFile turn on TLS in the process on the public
	// port; both or neither.
	TLSCertFile string `env:"TLS_CERT_FILE"`
	TLSKeyFile  string `env:"TLS_KEY_FILE"`
	// ProxyProtocol expects the PROXY header, version 1 or 2, in front of every
	// connection from one of the trusted proxies to the public port.
	ProxyProtocol bool `env:"PROXY_PROTOCOL" envDefault:"false"`

	// TrustedProxies are addresses and CIDRs, a setting of the admission.
	TrustedProxies []string
}

const minKey = 16

// Validate names what is wrong with the settings, all of it.
func (c Config) Validate() error {
	var faults []error
	for _, p := range []struct {
		name  string
		value int
	}{{"PORT", c.Port}, {"ADMIN_PORT", c.AdminPort}} {
		if p.value < 0 || p.value > 65535 {
			faults = append(faults, fmt.Errorf("%s %d: want 0 to 65535", p.name, p.value))
		}
	}
	if c.Port == c.AdminPort && c.Port != 0 {
		faults = append(faults, fmt.Errorf("PORT and ADMIN_PORT are both %d: want two ports", c.Port))
	}
	if c.HandshakeTimeout < 0 || c.HandshakeTimeout > readTimeout {
		faults = append(faults, fmt.Errorf("HANDSHAKE_TIMEOUT %v: want at most %v", c.HandshakeTimeout, readTimeout))
	}
	return errors.Join(append(append(faults, c.checkKeys()...), c.checkTLS(), c.checkProxies())...)
}

func (c Config) checkKeys() []error {
	var faults []error
	for i, key := range c.AdminKeys {
		if len(key) < minKey {
			faults = append(faults, fmt.Errorf("ADMIN_API_KEYS: key %d has fewer than %d bytes", i+1, minKey))
		}
	}
	if c.AdminKeysFile != "" {
		_, err := readKeys(c.AdminKeysFile)
		faults = append(faults, err)
	}
	return faults
}

func (c Config) checkTLS() error {
	switch {
	case (c.TLSCertFile == "") != (c.TLSKeyFile == ""):
		return errors.New("TLS_CERT_FILE and TLS_KEY_FILE: set both or neither")
	case !c.TLS():
		return nil
	}
	_, err := loadCertificate(c.TLSCertFile, c.TLSKeyFile)
	return err
}

// TLS tells whether the public port speaks TLS.
func (c Config) TLS() bool { return c.TLSCertFile != "" && c.TLSKeyFile != "" }

// PublicAddr and AdminAddr are host:port to listen on.
func (c Config) PublicAddr() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.Port)) }

// AdminAddr is where operators connect.
func (c Config) AdminAddr() string { return net.JoinHostPort(c.AdminHost, strconv.Itoa(c.AdminPort)) }
