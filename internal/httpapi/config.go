package httpapi

import "fmt"

// Config holds the bounds of requests.
type Config struct {
	// MaxBody bounds the body of a request in bytes.
	MaxBody int `env:"API_MAX_BODY_BYTES" envDefault:"1048576"`

	// MaxData, no setting of its own, is the longest data of one publication in
	// bytes; 0: no bound but the body's.
	MaxData int
}

const minBody = 1024

// Validate names what is wrong with the settings.
func (c Config) Validate() error {
	if c.MaxBody < minBody {
		return fmt.Errorf("API_MAX_BODY_BYTES %d: want at least %d", c.MaxBody, minBody)
	}
	return nil
}
