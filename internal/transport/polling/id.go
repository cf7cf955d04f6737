package polling

import (
	"crypto/rand"
	"encoding/base64"
	"strings"
)

// idLetters are the letters of URL-safe base64.
const idLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// id is the secret part of a session's id: whoever knows it speaks for the
// session.
type id [16]byte

// place is where a session stands in the table: a part of the id, as the table
// takes memory for each connection.
type place [8]byte

func (i id) place() place { return place(i[:]) }

func newID() (i id) {
	_, _ = rand.Read(i[:]) // never fails
	return i
}

// sid is the id as clients know it: behind the instance's name and a dot, if
// it has one.
func (s *Server) sid(i id) string {
	text := base64.RawURLEncoding.EncodeToString(i[:])
	if s.cfg.Instance == "" {
		return text
	}
	return s.cfg.Instance + "." + text
}

// parse is the way back; false for what this instance has not given.
func (s *Server) parse(sid string) (i id, ok bool) {
	if Owner(sid) != s.cfg.Instance {
		return i, false
	}
	text := sid
	if s.cfg.Instance != "" {
		text = sid[len(s.cfg.Instance)+1:]
	}
	if len(text) != base64.RawURLEncoding.EncodedLen(len(i)) {
		return i, false
	}
	n, err := base64.RawURLEncoding.Decode(i[:], []byte(text))
	return i, err == nil && n == len(i)
}

// Owner is the name of the instance that gave a session id; "" when it names
// none. Anybody may have written the id.
func Owner(sid string) string {
	owner, _, ok := strings.Cut(sid, ".")
	if !ok {
		return ""
	}
	return owner
}
