package policy

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// Config says where the policy comes from.
type Config struct {
	// File is a YAML document; empty: the one embedded for the security level.
	File string `env:"POLICY_FILE"`
	// CanAsk says that there is somebody to ask who may join a room. Without,
	// a policy that asks is a fault. It follows from other settings.
	CanAsk bool
	// HasStreams says that there is a Redis for the streams of routes. Without,
	// a policy with such routes is a fault. It follows from other settings.
	HasStreams bool
}

var (
	errNobodyToAsk = errors.New("policy: a room says join: ask, but nobody can be asked without an auth service that decides about rooms")
	errNoStreams   = errors.New("policy: a route goes to a stream, but there is no Redis: set REDIS_HOST or REDIS_URL")
)

// Load is Load for the configured file, of a policy that can be put in force.
func (c Config) Load(level string) (*Policy, string, error) {
	p, source, err := Load(c.File, level)
	if err == nil {
		err = c.lacks(p)
	}
	if err != nil {
		return nil, source, err
	}
	return p, source, nil
}

// lacks names what a policy needs and there is not.
func (c Config) lacks(p *Policy) error {
	var faults [2]error
	if p.Asks() && !c.CanAsk {
		faults[0] = errNobodyToAsk
	}
	if p.Streams() && !c.HasStreams {
		faults[1] = errNoStreams
	}
	return errors.Join(faults[:]...)
}

// Level names the embedded policy that stands in for a missing file.
type Level string

// Load reads and compiles a file, or without one the level's embedded
// document. It also returns where the policy comes from, for the log.
func Load(file, level string) (*Policy, string, error) {
	source, read := "embedded for "+level, func() ([]byte, error) { return Default(level) }
	if file != "" {
		source, read = file, func() ([]byte, error) { return readFile(file) }
	}
	data, err := read()
	if err != nil {
		return nil, source, err
	}
	p, err := Parse(data)
	if err != nil {
		return nil, source, err
	}
	p.Source = source
	return p, source, nil
}

// readFile reads a regular file of at most MaxDocumentBytes.
func readFile(path string) ([]byte, error) {
	switch info, err := os.Stat(path); { // before opening: a pipe would wait for a writer
	case err != nil:
		return nil, fmt.Errorf("policy: %w", err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("policy: %s is no regular file", path)
	}
	f, err := os.Open(path) //nolint:gosec // the operator's choice
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxDocumentBytes+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	return data, nil
}

// Reload puts what the configured file says now into force. A file that does
// not load or compile leaves the policy as it is.
func (l *Live) Reload(c Config) error {
	p, _, err := c.Load("")
	if err == nil {
		l.Set(p)
	}
	return err
}
