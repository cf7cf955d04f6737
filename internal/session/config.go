package session

// Config holds the limits of one session.
type Config struct {
	// MaxRooms bounds the rooms of one connection, its user's room included.
	MaxRooms int `env:"MAX_ROOMS_PER_CONNECTION" envDefault:"1000"`
}
