package logging

import (
	"errors"
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/sys/unix"
)

// Config holds the settings of the log.
type Config struct {
	// Level is debug, info, warn or error.
	Level string `env:"LOG_LEVEL" envDefault:"info"`
	// Format is auto (readable on a terminal, JSON otherwise), console or json.
	Format string `env:"LOG_FORMAT" envDefault:"auto"`
	// Sampling writes the first 100 entries of a message in a second, and of
	// the others one in 100.
	Sampling bool `env:"LOG_SAMPLING" envDefault:"false"`
}

// Validate names what is wrong with the settings, all of it.
func (c Config) Validate() error {
	_, err := c.level()
	switch c.Format {
	case "auto", "console", "json":
		return err
	}
	return errors.Join(err, fmt.Errorf("LOG_FORMAT %q: want auto, console or json", c.Format))
}

func (c Config) level() (zapcore.Level, error) {
	switch c.Level {
	case "debug", "info", "warn", "error":
		return zapcore.ParseLevel(c.Level)
	}
	return 0, fmt.Errorf("LOG_LEVEL %q: want debug, info, warn or error", c.Level)
}

// sampled is how many entries of a message a second has in full, and which of
// the others are written.
const sampled = 100

// New makes a logger that writes to out, a line per entry. Safe for concurrent
// use.
func New(c Config, out *os.File) (*zap.Logger, error) {
	level, err := c.level()
	if err != nil {
		return nil, err
	}
	core := zapcore.NewCore(encoder(c.Format, Terminal(out)), zapcore.Lock(out), level)
	if c.Sampling {
		core = zapcore.NewSamplerWithOptions(core, time.Second, sampled, sampled)
	}
	return zap.New(core), nil
}

func encoder(format string, terminal bool) zapcore.Encoder {
	cfg := zap.NewProductionEncoderConfig()
	cfg.EncodeTime = zapcore.ISO8601TimeEncoder
	cfg.EncodeDuration = zapcore.StringDurationEncoder
	if format == "json" || format == "auto" && !terminal {
		return zapcore.NewJSONEncoder(cfg)
	}
	cfg.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
	cfg.EncodeLevel = zapcore.CapitalLevelEncoder
	if terminal {
		cfg.EncodeLevel = zapcore.CapitalColorLevelEncoder
	}
	return zapcore.NewConsoleEncoder(cfg)
}

// ForPerson tells whether what stands beside the log on out is read by a
// person alone: a log in JSON is for machines, which keep it, wherever it goes.
func (c Config) ForPerson(out *os.File) bool { return c.Format != "json" && Terminal(out) }

// Terminal tells whether somebody sees what is written to f.
func Terminal(f *os.File) bool {
	_, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	return err == nil
}
