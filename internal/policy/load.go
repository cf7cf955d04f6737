package policy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"go.uber.org/zap"
)

// Config says where the policy comes from.
type Config struct {
	// File is a YAML document; empty: the one embedded for the security level.
	File string `env:"POLICY_FILE"`
}

// Level names the embedded policy that stands in for a missing file.
type Level string

// Reloads brings wishes to read the file again, such as SIGHUP.
type Reloads <-chan os.Signal

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
	return p, source, err
}

// readFile reads a regular file of at most MaxDocumentBytes.
func readFile(path string) ([]byte, error) {
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

// Reloader keeps a Live in step with a file.
type Reloader struct {
	file    string
	live    *Live
	reloads Reloads
	log     *zap.Logger
}

// pollEvery is how often the file is looked at: a mounted ConfigMap changes
// without a signal.
const pollEvery = 2 * time.Second

// NewReloader makes a reloader. A receive from reloads (SIGHUP) reads the file
// at once; it may be nil.
func NewReloader(file string, live *Live, reloads Reloads, log *zap.Logger) *Reloader {
	return &Reloader{file, live, reloads, log}
}

// Run reloads until ctx ends. A file that does not load or compile leaves the
// policy in force as it is, and is said in the log once.
func (r *Reloader) Run(ctx context.Context) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	seen := r.stamp()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.reloads:
			if r.file == "" {
				r.log.Info("nothing to reload: the policy is the embedded one")
				continue
			}
			seen = r.stamp()
			r.reload()
		case <-tick.C:
			if stamp := r.stamp(); stamp != seen {
				seen = stamp
				r.reload()
			}
		}
	}
}

// stamp changes when the file does.
func (r *Reloader) stamp() string {
	info, err := os.Stat(r.file)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%d %d", info.Size(), info.ModTime().UnixNano())
}

func (r *Reloader) reload() {
	p, _, err := Load(r.file, "")
	if err != nil {
		r.log.Error("the changed policy is not taken; the old one stays", zap.String("file", r.file), zap.Error(err))
		return
	}
	r.live.Set(p)
	r.log.Info("policy reloaded", zap.String("file", r.file), zap.Int("rules", len(p.Rules())))
}
