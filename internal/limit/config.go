package limit

import (
	"errors"
	"fmt"
	"time"
)

// Config holds the limits on clients. Zero connections and zero rooms mean no
// limit.
type Config struct {
	// MaxPerUser bounds the connections of one user, on all instances that share
	// a Redis. Guests are each a user of their own.
	MaxPerUser int `env:"MAX_CONNECTIONS_PER_USER" envDefault:"0"`
	// MaxPerAddress bounds the connections of one address on this instance,
	// handshakes included; an IPv6 address counts with its /64.
	MaxPerAddress int `env:"MAX_CONNECTIONS_PER_ADDRESS" envDefault:"0"`
	// MaxRooms bounds the rooms with members on this instance, those of users
	// apart, which their connections bound.
	MaxRooms int `env:"MAX_ROOMS" envDefault:"1000000"`

	// RateLimiting turns the rates on.
	RateLimiting bool `env:"RATE_LIMITING_ENABLED" envDefault:"false"`
	// MessageRate and UserMessageRate are messages per second of a connection
	// and of all connections of a user.
	MessageRate     int `env:"MESSAGE_RATE" envDefault:"50"`
	UserMessageRate int `env:"MESSAGE_RATE_PER_USER" envDefault:"100"`
	// JoinRate and UserJoinRate are those of them that join a room.
	JoinRate     int `env:"JOIN_RATE" envDefault:"20"`
	UserJoinRate int `env:"JOIN_RATE_PER_USER" envDefault:"40"`
	// RateBurst is the time whose share a client may use at once.
	RateBurst time.Duration `env:"RATE_BURST" envDefault:"5s"`
}

const maxRate = 1_000_000 // per second

// Validate names what is wrong with the settings, all of it.
func (c Config) Validate() error {
	var faults []error
	for _, n := range []struct {
		name  string
		value int
	}{
		{"MAX_CONNECTIONS_PER_USER", c.MaxPerUser}, {"MAX_CONNECTIONS_PER_ADDRESS", c.MaxPerAddress}, {"MAX_ROOMS", c.MaxRooms},
	} {
		if n.value < 0 {
			faults = append(faults, fmt.Errorf("%s %d: want 0 (no limit) or more", n.name, n.value))
		}
	}
	for _, n := range []struct {
		name  string
		value int
	}{
		{"MESSAGE_RATE", c.MessageRate}, {"MESSAGE_RATE_PER_USER", c.UserMessageRate},
		{"JOIN_RATE", c.JoinRate}, {"JOIN_RATE_PER_USER", c.UserJoinRate},
	} {
		if n.value < 1 || n.value > maxRate {
			faults = append(faults, fmt.Errorf("%s %d: want 1 to %d a second", n.name, n.value, maxRate))
		}
	}
	// From a second on a burst holds at least one message of every rate.
	if c.RateBurst < time.Second || c.RateBurst > time.Hour {
		faults = append(faults, fmt.Errorf("RATE_BURST %v: want 1s to 1h", c.RateBurst))
	}
	return errors.Join(faults...)
}
