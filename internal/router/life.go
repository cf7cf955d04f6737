package router

import (
	"errors"
	"fmt"
	"time"
)

// LifeConfig holds the settings of how long identities and grants last.
type LifeConfig struct {
	// ExpiryNotice is how long before a connection's token runs out the client
	// is told. A token that lives shorter is told of at half its life.
	ExpiryNotice time.Duration `env:"TOKEN_EXPIRY_NOTICE" envDefault:"1m"`
	// OutageGrace is how much longer a connection and its grants last when
	// they come due while the auth service cannot be asked. 0: not at all.
	OutageGrace time.Duration `env:"AUTH_OUTAGE_GRACE" envDefault:"5m"`
	// RevocationTTL is how long a revoked token is remembered, and a revoked
	// user unless a time is given. Tokens should not live longer.
	RevocationTTL time.Duration `env:"REVOCATION_TTL" envDefault:"24h"`
	// MaxRevocations bounds the revoked users and tokens that are remembered.
	MaxRevocations int `env:"MAX_REVOCATIONS" envDefault:"100000"`
}

// Validate names what is wrong with the settings.
func (c LifeConfig) Validate() error {
	var faults []error
	if c.ExpiryNotice < 0 {
		faults = append(faults, fmt.Errorf("TOKEN_EXPIRY_NOTICE %v: want 0 or more", c.ExpiryNotice))
	}
	if c.OutageGrace < 0 {
		faults = append(faults, fmt.Errorf("AUTH_OUTAGE_GRACE %v: want 0 or more", c.OutageGrace))
	}
	if c.RevocationTTL <= 0 {
		faults = append(faults, fmt.Errorf("REVOCATION_TTL %v: want more than 0", c.RevocationTTL))
	}
	if c.MaxRevocations < 1 {
		faults = append(faults, fmt.Errorf("MAX_REVOCATIONS %d: want at least 1", c.MaxRevocations))
	}
	return errors.Join(faults...)
}

// withDefaults fills in what must not be zero.
func (c LifeConfig) withDefaults() LifeConfig {
	if c.RevocationTTL <= 0 {
		c.RevocationTTL = 24 * time.Hour
	}
	if c.MaxRevocations <= 0 {
		c.MaxRevocations = 100_000
	}
	return c
}
