package logging

import (
	"fmt"
	"os"

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
}

// Validate names what is wrong with the settings.
func (c Config) Validate() error {
	if _, err := c.level(); err != nil {
		return err
	}
	switch c.Format {
	case "auto", "console", "json":
		return nil
	}
	return fmt.Errorf("LOG_FORMAT %q: want auto, console or json", c.Format)
}

func (c Config) level() (zapcore.Level, error) {
	switch c.Level {
	case "debug", "info", "warn", "error":
		return zapcore.ParseLevel(c.Level)
	}
	return 0, fmt.Errorf("LOG_LEVEL %q: want debug, info, warn or error", c.Level)
}

// New makes a logger that writes to out, a line per entry. Safe for concurrent
// use.
func New(c Config, out *os.File) (*zap.Logger, error) {
	level, err := c.level()
	if err != nil {
		return nil, err
	}
	return zap.New(zapcore.NewCore(encoder(c.Format, Terminal(out)), zapcore.Lock(out), level)), nil
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

// Terminal tells whether somebody sees what is written to f.
func Terminal(f *os.File) bool {
	_, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	return err == nil
}
