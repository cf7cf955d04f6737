package session

import "github.com/moonx-farm/ws-gateway/internal/auth"

// Refresh tells how it stands with a client's wish to renew its credential.
type Refresh uint8

// The states of a refresh.
const (
	RefreshNone       Refresh = iota // there was none, or it was answered
	RefreshUnderWay                  // the verifier is being asked
	RefreshUnverified                // the last one could not be verified
)

// While runs f, which must not block, if the session still has the identity
// (nil: none yet) and is not gone; else it returns false. What changes either
// follows f.
func (s *Session) While(identity *auth.Identity, f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.identity != identity {
		return false
	}
	f()
	return true
}

// Refresh tells how it stands with the session's credential.
func (s *Session) Refresh() Refresh {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refresh
}

// SetRefresh notes how it stands with the session's credential.
func (s *Session) SetRefresh(to Refresh) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refresh = to
}
