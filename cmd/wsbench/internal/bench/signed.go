//go:build linux

package bench

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"
)

// user appends the user id of a connection.
func (o *Options) user(dst []byte, index int32) []byte {
	return fmt.Appendf(dst, "%s%06d", o.Users, o.Share.Begin+int(index))
}

// tokenLife is how long signed tokens are good for: longer than any run.
const tokenLife = 48 * time.Hour

// signed appends a JSON Web Token of the connection's user (RFC 7519, HS256).
func (o *Options) signed(dst []byte, index int32) []byte {
	var buf [192]byte
	claims := o.user(append(buf[:0], `{"sub":"`...), index)
	claims = fmt.Appendf(claims, `","exp":%d}`, time.Now().Add(tokenLife).Unix())
	begin := len(dst)
	dst = append(dst, "eyJhbGciOiJIUzI1NiJ9."...) // {"alg":"HS256"}
	dst = base64.RawURLEncoding.AppendEncode(dst, claims)
	mac := hmac.New(sha256.New, o.Secret)
	_, _ = mac.Write(dst[begin:]) // never fails
	return base64.RawURLEncoding.AppendEncode(append(dst, '.'), mac.Sum(buf[:0]))
}
