package bridge

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"
)

// SignatureHeader is the header of a request's signature: "t=" and the Unix
// time in seconds, then for each secret ",v1=" and the HMAC-SHA256 in hex of
// that time, a dot, and the body.
const SignatureHeader = "Gateway-Signature"

// signature is the header's value for a body sent now.
func signature(secrets []string, now time.Time, body []byte) string {
	t := strconv.FormatInt(now.Unix(), 10)
	out := "t=" + t
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(t + "."))
		mac.Write(body)
		out += ",v1=" + hex.EncodeToString(mac.Sum(nil))
	}
	return out
}
