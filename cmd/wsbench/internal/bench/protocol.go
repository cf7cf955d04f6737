//go:build linux

package bench

import (
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/frame"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/gwproto"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/sioproto"
)

// The protocols that connections may speak.
const (
	Plain    = "plain"    // gateway.v1
	SocketIO = "socketio" // Socket.IO over a WebSocket, never by polling
)

func (o *Options) checkProtocol() error {
	switch o.Protocol {
	case "", Plain, SocketIO:
		return nil
	}
	return fmt.Errorf("-protocol %q: %s or %s", o.Protocol, Plain, SocketIO)
}

// opening is the handshake at a URL. With Socket.IO it goes to the path that
// Socket.IO servers have, unless the URL has one of its own.
func (o *Options) opening(u *url.URL) *frame.Opening {
	if o.Protocol != SocketIO {
		return frame.NewOpening(u.Host, u.RequestURI(), gwproto.Protocol)
	}
	at := *u
	if at.Path == "" || at.Path == "/" || at.Path == "/ws" {
		at.Path = sioproto.Path
	}
	at.RawQuery = sioproto.Query
	return frame.NewOpening(u.Host, at.RequestURI(), "")
}

// readTokens reads the file of credentials, once.
func (o *Options) readTokens() error {
	if o.TokenFile == "" || o.tokens != nil {
		return nil
	}
	b, err := os.ReadFile(o.TokenFile)
	if err != nil {
		return fmt.Errorf("-tokens: %w", err)
	}
	number := 0
	for line := range strings.Lines(string(b)) {
		number++
		token := strings.TrimSpace(line)
		if strings.ContainsFunc(token, unfit) {
			return fmt.Errorf("-tokens: line %d of %s is no token", number, o.TokenFile)
		}
		if token != "" {
			o.tokens = append(o.tokens, token)
		}
	}
	if len(o.tokens) == 0 {
		return fmt.Errorf("-tokens: %s has none", o.TokenFile)
	}
	return nil
}

// unfit is what neither a header nor, without escapes, a JSON string may hold.
func unfit(r rune) bool { return r <= ' ' || r == '"' || r == '\\' || r > '~' }

// token appends the credential of a connection: the next of the file, or the
// user id, which a gateway in development takes for one.
func (o *Options) token(dst []byte, index int32) []byte {
	if len(o.tokens) > 0 {
		return append(dst, o.tokens[(o.Share.Begin+int(index))%len(o.tokens)]...)
	}
	if o.Secret != nil {
		return o.signed(dst, index)
	}
	return o.user(dst, index)
}
