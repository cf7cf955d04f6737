package server

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
)

// certificate serves the newest certificate of two files. Safe for concurrent
// use.
type certificate struct {
	certFile, keyFile string // immutable
	log               *zap.Logger

	mu      sync.Mutex
	loaded  *tls.Certificate // guarded by mu
	stamp   string           // guarded by mu: sizes and times of the files loaded
	checked time.Time        // guarded by mu
}

// certificateCheck is how often the files are looked at.
const certificateCheck = 10 * time.Second

func loadCertificate(certFile, keyFile string) (*tls.Certificate, error) {
	c, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("TLS_CERT_FILE, TLS_KEY_FILE: %w", err)
	}
	return &c, nil
}

// newCertificate loads the files.
func newCertificate(certFile, keyFile string, log *zap.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log, stamp: stampOf(certFile, keyFile), checked: time.Now()}
	var err error
	c.loaded, err = loadCertificate(certFile, keyFile)
	return c, err
}

// get is a tls.Config.GetCertificate. Files that changed and do not load leave
// the old certificate in force.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if now.Sub(c.checked) < certificateCheck {
		return c.loaded, nil
	}
	c.checked = now
	stamp := stampOf(c.certFile, c.keyFile)
	if stamp == c.stamp {
		return c.loaded, nil
	}
	fresh, err := loadCertificate(c.certFile, c.keyFile)
	if err != nil {
		c.log.Error("the changed certificate does not load; the old one stays", zap.Error(err))
		return c.loaded, nil
	}
	c.loaded, c.stamp = fresh, stamp
	c.log.Info("certificate reloaded")
	return c.loaded, nil
}

// stampOf changes when one of the files does.
func stampOf(files ...string) string {
	stamp := ""
	for _, f := range files {
		if info, err := os.Stat(f); err == nil {
			stamp += fmt.Sprintf("%d %d ", info.Size(), info.ModTime().UnixNano())
		}
	}
	return stamp
}
