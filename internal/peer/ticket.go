package peer

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
)

// Path begins the path of everything that is passed on; the client's own path
// follows.
const Path = "/peer"

// The headers of a request between instances, and of the refusal of one.
const (
	ticketHeader    = "Gateway-Peer"
	signatureHeader = "Gateway-Peer-Signature"
	refusalHeader   = "Gateway-Peer-Refused"
)

// maxTicket bounds the ticket header, in bytes: Host and Origin, which are the
// client's words, are in it.
const maxTicket = 8 << 10

// label begins what is signed, so that a signature means nothing elsewhere. It
// changes when the ticket is read differently.
const label = "ws-gateway peer request 1"

// ticket is what one instance tells another of a request that it passes on.
type ticket struct {
	From     string `json:"from"` // incarnations
	To       string `json:"to"`
	Sequence uint64 `json:"n"` // used once by From
	Time     int64  `json:"t"` // Unix milliseconds
	Length   int64  `json:"len"`
	Digest   string `json:"sum"` // of the body, SHA-256 in hex

	Client string   `json:"client"` // as http.Request.RemoteAddr
	Host   string   `json:"host"`
	Origin []string `json:"origin,omitempty"`
}

// encode writes a ticket as it stands in its header.
func (t ticket) encode() (string, error) {
	b, err := json.Marshal(t)
	if err != nil {
		return "", fmt.Errorf("write a ticket: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}

// decodeTicket reads what encode has written.
func decodeTicket(s string) (t ticket, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || json.Unmarshal(b, &t) != nil {
		return ticket{}, false
	}
	return t, true
}

// signature signs a ticket, as it stands in its header, for one request. None of
// the parts holds a newline. uri is the client's own path and query.
func signature(key []byte, method, uri, encoded string) []byte {
	mac := hmac.New(sha256.New, key)
	for _, part := range []string{label, method, uri, encoded} {
		mac.Write([]byte(part))
		mac.Write([]byte{'\n'})
	}
	return mac.Sum(nil)
}

// seal puts a signed ticket into headers.
func seal(h http.Header, key []byte, method, uri string, t ticket) error {
	encoded, err := t.encode()
	if err != nil {
		return err
	}
	h.Set(ticketHeader, encoded)
	h.Set(signatureHeader, hex.EncodeToString(signature(key, method, uri, encoded)))
	return nil
}

// digest is how a body is named in a ticket.
func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}
