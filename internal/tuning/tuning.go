// Package tuning sets what the Go runtime trades memory for time with, and
// knows what PERFORMANCE_MODE stands for.
package tuning

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
)

// Config holds the settings of the runtime.
type Config struct {
	// Performance gives other settings values for throughput, unless they
	// are set.
	Performance bool `env:"PERFORMANCE_MODE" envDefault:"false"`
	// GCPercent is how much the heap may grow, in percent of what is live,
	// before it is collected; 0: as GOGC says, else 100.
	GCPercent int `env:"GC_PERCENT" envDefault:"0"`
	// GCMemoryLimit is the memory in bytes beyond which the collector works
	// harder rather than let the process grow; 0: as GOMEMLIMIT says, else none.
	GCMemoryLimit int64 `env:"GC_MEMORY_LIMIT_BYTES" envDefault:"0"`
}

// The bounds of the settings.
const (
	minPercent = 10
	maxPercent = 1000
	minLimit   = 64 << 20
)

// Validate names what is wrong with the settings, all of it.
func (c Config) Validate() error {
	var faults []error
	if c.GCPercent != 0 && (c.GCPercent < minPercent || c.GCPercent > maxPercent) {
		faults = append(faults, fmt.Errorf("GC_PERCENT %d: want %d to %d, or 0 for the runtime's own", c.GCPercent, minPercent, maxPercent))
	}
	if c.GCMemoryLimit != 0 && c.GCMemoryLimit < minLimit {
		faults = append(faults, fmt.Errorf("GC_MEMORY_LIMIT_BYTES %d: want at least %d, or 0 for the runtime's own", c.GCMemoryLimit, minLimit))
	}
	return errors.Join(faults...)
}

// Apply sets the runtime of the whole process. Only main calls it.
func (c Config) Apply() {
	if c.GCPercent > 0 {
		debug.SetGCPercent(c.GCPercent)
	}
	if c.GCMemoryLimit > 0 {
		debug.SetMemoryLimit(c.GCMemoryLimit)
	}
}

// Preset is the value of a setting that a mode stands for.
type Preset struct {
	Name, Value string
	// Instead are variables of the Go runtime that say the same: when one is
	// set, it holds.
	Instead string
}

// Mode lists what PERFORMANCE_MODE stands for on a machine, or in a container,
// of so many bytes of memory; 0: not known.
//
// With 300 percent the collector runs a third as often as with 100 and the heap
// may take twice as much; the limit, at four fifths of the memory, takes that
// back where memory is short. Larger batches hand more publications of a busy
// room over at once, and a larger hand-off lets publishers wait later.
func Mode(memory int64) []Preset {
	presets := []Preset{
		{"GC_PERCENT", "300", "GOGC"},
		{"BROKER_BATCH", "256", ""},
		{"BROKER_HANDOFF_BYTES", "4194304", ""},
		{"LOG_SAMPLING", "true", ""},
	}
	if limit := memory / 5 * 4; limit >= minLimit {
		presets = append(presets, Preset{"GC_MEMORY_LIMIT_BYTES", strconv.FormatInt(limit, 10), "GOMEMLIMIT"})
	}
	return presets
}
