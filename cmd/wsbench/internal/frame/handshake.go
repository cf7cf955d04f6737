package frame

import (
	"bytes"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // RFC 6455 section 4.2.2 says SHA-1
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// guid is the constant of RFC 6455 section 1.3.
const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// Opening is one opening handshake, prepared for many connections that differ
// only in their credential. Immutable after NewOpening.
type Opening struct {
	head     []byte
	accept   []byte
	protocol []byte
}

// NewOpening prepares the request for host (with port) and path, offering
// protocol (none if empty). All its connections share one random key: the key
// protects against caching intermediaries, and wsbench talks to none.
func NewOpening(host, path, protocol string) *Opening {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // never fails
	key := base64.StdEncoding.EncodeToString(raw[:])
	var b strings.Builder
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n", path, host)
	fmt.Fprintf(&b, "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n", key)
	if protocol != "" {
		fmt.Fprintf(&b, "Sec-WebSocket-Protocol: %s\r\n", protocol)
	}
	return &Opening{
		head:     []byte(b.String()),
		accept:   []byte(AcceptKey(key)),
		protocol: []byte(protocol),
	}
}

// AcceptKey is the server's answer to a key (RFC 6455 section 4.2.2).
func AcceptKey(key string) string {
	sum := sha1.Sum([]byte(key + guid)) //nolint:gosec // as above
	return base64.StdEncoding.EncodeToString(sum[:])
}

// AppendRequest appends the request with the given bearer token (none if
// empty).
func (o *Opening) AppendRequest(dst []byte, token []byte) []byte {
	dst = append(dst, o.head...)
	if len(token) > 0 {
		dst = append(dst, "Authorization: Bearer "...)
		dst = append(dst, token...)
		dst = append(dst, "\r\n"...)
	}
	return append(dst, "\r\n"...)
}

// maxResponse bounds the answer to the opening handshake.
const maxResponse = 16 << 10

// CheckResponse looks at the server's answer so far. size is the length of the
// whole response header, 0 while it is incomplete. An answer that does not
// open the connection is an error that quotes its status.
func (o *Opening) CheckResponse(b []byte) (size int, err error) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		if len(b) > maxResponse {
			return 0, fmt.Errorf("handshake: response header above %d bytes", maxResponse)
		}
		return 0, nil
	}
	status, header, _ := bytes.Cut(b[:end], []byte("\r\n"))
	if !bytes.HasPrefix(status, []byte("HTTP/1.1 101")) {
		return 0, fmt.Errorf("handshake: %s: %s", status, excerpt(b[end+4:]))
	}
	if !bytes.Equal(field(header, "Sec-WebSocket-Accept"), o.accept) {
		return 0, errors.New("handshake: wrong Sec-WebSocket-Accept")
	}
	if !bytes.Equal(field(header, "Sec-WebSocket-Protocol"), o.protocol) {
		return 0, fmt.Errorf("handshake: subprotocol %q instead of %q",
			field(header, "Sec-WebSocket-Protocol"), o.protocol)
	}
	return end + 4, nil
}

// field returns the value of a header field, nil if absent.
func field(header []byte, name string) []byte {
	for len(header) > 0 {
		var line []byte
		line, header, _ = bytes.Cut(header, []byte("\r\n"))
		if k, v, ok := bytes.Cut(line, []byte(":")); ok && len(k) == len(name) && bytes.EqualFold(k, []byte(name)) {
			return bytes.TrimSpace(v)
		}
	}
	return nil
}

func excerpt(b []byte) []byte {
	b = bytes.TrimSpace(b)
	return b[:min(len(b), 200)]
}
