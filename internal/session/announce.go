package session

// Announce runs f, which must not block, unless the session is gone; then it
// returns false. What follows the session's end follows f.
func (s *Session) Announce(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.announced = true
	f()
	return true
}

// Announced tells whether Announce has run something.
func (s *Session) Announced() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.announced
}
