// Package reload reads files again while the gateway runs: the policy, keys and
// certificates. It looks at them every two seconds, as a mounted ConfigMap or
// Secret changes without a signal, and at once on SIGHUP. What does not load
// leaves in force what is, and is said in the log, in metrics and in health.
package reload

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/health"
)

// Source is something that is read from files.
type Source struct {
	// Name is shown in the log, in metrics and in health, such as "policy".
	Name string
	// Files are what it is read from; none: it cannot change, and SIGHUP
	// passes it by.
	Files []string
	// Load reads the files and puts what they say into force; with an error,
	// which must hold no secret, all stays as it was. Calls come one at a time.
	Load func() error
}

// Signals brings wishes to read everything again, such as SIGHUP.
type Signals <-chan os.Signal

// every is how often files are looked at.
const every = 2 * time.Second

// Watcher keeps sources in step with their files. Make it with New.
type Watcher struct {
	sources []*watched // immutable
	signals Signals
	log     *zap.Logger
}

type watched struct {
	Source // immutable

	stamp          string // owned by Run
	loaded, failed atomic.Int64
	failing        atomic.Bool
}

// New makes a watcher of sources that have just been read. signals may be nil.
func New(sources []Source, signals Signals, log *zap.Logger) *Watcher {
	w := &Watcher{signals: signals, log: log}
	for _, s := range sources {
		if len(s.Files) > 0 {
			w.sources = append(w.sources, &watched{Source: s, stamp: stampOf(s.Files)})
		}
	}
	return w
}

// Run reloads until ctx ends. Call it once.
func (w *Watcher) Run(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.signals:
			w.all()
		case <-tick.C:
			w.changed()
		}
	}
}

func (w *Watcher) all() {
	if len(w.sources) == 0 {
		w.log.Info("nothing to reload: no setting names a file")
	}
	for _, s := range w.sources {
		s.stamp = stampOf(s.Files)
		w.load(s)
	}
}

func (w *Watcher) changed() {
	for _, s := range w.sources {
		if stamp := stampOf(s.Files); stamp != s.stamp {
			s.stamp = stamp
			w.load(s)
		}
	}
}

func (w *Watcher) load(s *watched) {
	err := s.Load()
	s.failing.Store(err != nil)
	if err != nil {
		s.failed.Add(1)
		w.log.Error("a reload failed; what was in force stays", zap.String("what", s.Name), zap.Strings("files", s.Files), zap.Error(err))
		return
	}
	s.loaded.Add(1)
	w.log.Info("reloaded", zap.String("what", s.Name), zap.Strings("files", s.Files))
}

// stampOf changes when one of the files does, or goes, or comes back.
func stampOf(files []string) string {
	var b strings.Builder
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			b.WriteString("none ")
			continue
		}
		_, _ = fmt.Fprintf(&b, "%d %d ", info.Size(), info.ModTime().UnixNano())
	}
	return b.String()
}

// Stat is what became of the reloads of a source since the start.
type Stat struct {
	Name           string
	Loaded, Failed int64
	// Failing says that the last reload failed, so that what is in force is
	// not what the files say.
	Failing bool
}

// Stats returns a Stat per source that has files, always in the same order.
func (w *Watcher) Stats() []Stat {
	out := make([]Stat, 0, len(w.sources))
	for _, s := range w.sources {
		out = append(out, Stat{s.Name, s.loaded.Load(), s.failed.Load(), s.failing.Load()})
	}
	return out
}

// Check is a health check that degrades while something in force is not what
// its files say.
func (w *Watcher) Check() health.Check {
	return health.Check{Name: "configuration", Degrades: true, Ready: func(context.Context) error {
		for _, s := range w.Stats() {
			if s.Failing {
				return health.Reason("a reload failed: " + s.Name)
			}
		}
		return nil
	}}
}
