package server

import "github.com/moonx-farm/ws-gateway/internal/reload"

// Source is the file of keys as something to reload.
func (k *Keys) Source() reload.Source {
	s := reload.Source{Name: "keys", Load: k.load}
	if k.file != "" {
		s.Files = []string{k.file}
	}
	return s
}

// Source is the certificate as something to reload; c may be nil.
func (c *Certificate) Source() reload.Source {
	s := reload.Source{Name: "certificate"}
	if c != nil {
		s.Files, s.Load = []string{c.certFile, c.keyFile}, c.load
	}
	return s
}
