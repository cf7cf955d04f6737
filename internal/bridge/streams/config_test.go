package streams

import (
	"strings"
	"testing"
	"time"
)

func TestFaultySettingsAreNamed(t *testing.T) {
	good := Config{Name: "commands", Lease: 5 * time.Second, RetryFor: 0, DeadLength: 1}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	off := good
	off.Name = Off
	if err := off.Validate(); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*Config){
		`COMMAND_STREAM "": want 1 to 64 of`:      func(c *Config) { c.Name = "" },
		`COMMAND_STREAM "a b": want 1 to 64 of`:   func(c *Config) { c.Name = "a b" },
		`COMMAND_STREAM "{a}": want 1 to 64 of`:   func(c *Config) { c.Name = "{a}" },
		"COMMAND_LEASE 10ms: want 1s to 1m0s":     func(c *Config) { c.Lease = 10 * time.Millisecond },
		"COMMAND_LEASE 2m0s: want 1s to 1m0s":     func(c *Config) { c.Lease = 2 * time.Minute },
		"COMMAND_RETRY_FOR -1s: want 0 or more":   func(c *Config) { c.RetryFor = -time.Second },
		"COMMAND_DEAD_LENGTH 0: want 1 to 100000": func(c *Config) { c.DeadLength = 0 },
	} {
		c := good
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %s: %v", want, err)
		}
	}
	if err := (Config{}).Validate(); err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("all faults: %v", err)
	}
}
