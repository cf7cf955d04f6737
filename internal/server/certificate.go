package server

import (
	"crypto/tls"
	"fmt"
	"sync/atomic"
)

// Certificate serves the newest certificate of two files. Safe for concurrent
// use.
type Certificate struct {
	certFile, keyFile string // immutable

	loaded atomic.Pointer[tls.Certificate] // not nil after load has succeeded
}

func loadCertificate(certFile, keyFile string) (*tls.Certificate, error) {
	c, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("TLS_CERT_FILE, TLS_KEY_FILE: %w", err)
	}
	return &c, nil
}

// NewCertificate loads the configured files; without any it returns nil.
func NewCertificate(cfg Config) (*Certificate, error) {
	if !cfg.TLS() {
		return nil, nil
	}
	c := &Certificate{certFile: cfg.TLSCertFile, keyFile: cfg.TLSKeyFile}
	return c, c.load()
}

// load serves what the files hold now. Files that do not load leave the old
// certificate in force.
func (c *Certificate) load() error {
	fresh, err := loadCertificate(c.certFile, c.keyFile)
	if err == nil {
		c.loaded.Store(fresh)
	}
	return err
}

// get is a tls.Config.GetCertificate.
func (c *Certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.loaded.Load(), nil
}
