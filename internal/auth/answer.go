package auth

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// object is a JSON object whose keys keep their case: encoding/json would take
// "ID" for "id".
type object map[string]json.RawMessage

// objectOf reads an object; nil when raw is none, or null.
func objectOf(raw []byte) object {
	var o object
	if !utf8.Valid(raw) || json.Unmarshal(raw, &o) != nil {
		return nil
	}
	return o
}

// text reads a string field; empty when it is none.
func (o object) text(key string) string {
	var s string
	if json.Unmarshal(o[key], &s) != nil {
		return ""
	}
	return s
}

// id reads an id: a string, or an integer as some databases have them.
func (o object) id(key string) string {
	if s := o.text(key); s != "" {
		return s
	}
	n, err := strconv.ParseInt(string(o[key]), 10, 64)
	if err != nil {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// says tells whether a field is that boolean.
func (o object) says(key string, b bool) bool { return string(o[key]) == strconv.FormatBool(b) }

var (
	errGarbage = outageError{why: "the answer is not what was asked for"}
	// A single token can bring this about, so it is not held against the service.
	errFailure = outageError{why: "the answer says that it failed", well: true}
)

// reading is what an answer about a token says.
type reading struct {
	user    object // nil: none
	expires time.Time
	refused bool // in so many words
	top     []object
}

// read reads {"user": …} and {"data": {"user": …}}, and when it ends. An answer
// that says in its own words that the token is not valid, or that it failed,
// lets nobody in, whatever else it holds.
func read(body []byte, now time.Time) (reading, error) {
	top := objectOf(body)
	if top == nil {
		return reading{}, errGarbage
	}
	r := reading{top: []object{top}}
	if data := objectOf(top["data"]); data != nil {
		r.top = append(r.top, data)
	}
	for _, o := range r.top {
		switch {
		case o.says("valid", false), o.says("active", false):
			r.refused = true
		case o.says("success", false), o.says("ok", false):
			return reading{}, errFailure
		}
		if r.user == nil {
			r.user = objectOf(o["user"])
		}
		end, err := o.expires(now)
		if err != nil {
			return reading{}, err
		}
		if r.expires.IsZero() {
			r.expires = end
		}
	}
	return r, nil
}

// expires reads when something ends: expiresAt, expires_at or exp as seconds or
// milliseconds since 1970 or as RFC 3339, expiresIn or expires_in as seconds
// from now. Zero: it says nothing about it.
func (o object) expires(now time.Time) (time.Time, error) {
	if raw := o.first("expiresAt", "expires_at", "exp"); raw != nil {
		return instant(raw)
	}
	if raw := o.first("expiresIn", "expires_in"); raw != nil {
		seconds, err := strconv.ParseFloat(strings.Trim(string(raw), `"`), 64)
		if err != nil || !(seconds >= 0 && seconds < millis) {
			return time.Time{}, errGarbage
		}
		return now.Add(time.Duration(min(seconds, maxSeconds) * float64(time.Second))), nil
	}
	return time.Time{}, nil
}

// first is the first of some fields that says something.
func (o object) first(keys ...string) json.RawMessage {
	for _, key := range keys {
		if raw, found := o[key]; found && string(raw) != "null" {
			return raw
		}
	}
	return nil
}

const (
	millis     = 1e11 // numbers from here on are milliseconds: seconds would be in the year 5138
	maxSeconds = 1e9  // of a duration: more would overflow one
)

// instant reads a moment.
func instant(raw []byte) (time.Time, error) {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		s = string(raw)
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil && t.Unix() > 0 {
		return t, nil
	}
	n, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil, !(n > 0 && n < millis*1000):
		return time.Time{}, errGarbage
	case n >= millis:
		n /= 1000
	}
	whole, part := math.Modf(n)
	return time.Unix(int64(whole), int64(part*1e9)), nil
}

// payload reads the claims of a JSON Web Token without checking its signature;
// nil when the token is none. It is for what somebody else has vouched for.
func payload(token string) object {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return nil
	}
	return objectOf(raw)
}

// MaxToken is the size of a token in bytes at most.
const MaxToken = 16 << 10

// presentable tells whether a text may be a token: visible ASCII, which is what
// fits a header (RFC 6750, section 2.1, is narrower). A space is none: services
// trim them, and a revoked token would come back with one.
func presentable(token string) bool {
	if token == "" || len(token) > MaxToken {
		return false
	}
	for i := range len(token) {
		if token[i] <= ' ' || token[i] > '~' {
			return false
		}
	}
	return true
}
