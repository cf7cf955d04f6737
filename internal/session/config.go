package session

import "fmt"

// Config holds the limits of one session.
type Config struct {
	// MaxRooms bounds the rooms of one connection, its user's room included.
	MaxRooms int `env:"MAX_ROOMS_PER_CONNECTION" envDefault:"1000"`
}

// Validate names what is wrong with the settings.
func (c Config) Validate() error {
	if c.MaxRooms < 1 {
		return fmt.Errorf("MAX_ROOMS_PER_CONNECTION %d: want at least 1", c.MaxRooms)
	}
	return nil
}
