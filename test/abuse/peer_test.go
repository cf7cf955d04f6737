package abuse

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The opcodes of RFC 6455 section 5.2, and the bit of a last fragment.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA
	fin            = 0x80
	rsv1           = 0x40
)

// handshake is an upgrade that any server takes; more header lines can go
// before its end.
const handshake = "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// peer speaks bytes as it likes.
type peer struct {
	net.Conn
	in *bufio.Reader
}

// peer opens a connection that has said nothing.
func (a *app) peer(t testing.TB) *peer {
	t.Helper()
	c := a.connect(t)
	// So that a test which waits for bytes that never come ends.
	_ = c.SetDeadline(time.Now().Add(patience))
	return &peer{c, bufio.NewReader(c)}
}

// upgraded opens a WebSocket; headers are lines without their ends.
func (a *app) upgraded(t testing.TB, headers ...string) *peer {
	t.Helper()
	p := a.peer(t)
	for i := range headers {
		headers[i] += "\r\n"
	}
	p.say(t, handshake+strings.Join(headers, "")+"\r\n")
	if status := p.answer(t); status != http.StatusSwitchingProtocols {
		t.Fatalf("the upgrade was answered with %d", status)
	}
	return p
}

// say writes text, and does not mind that the gateway has had enough.
func (p *peer) say(t testing.TB, text string) {
	t.Helper()
	_, _ = io.WriteString(p, text)
}

// answer reads the head of an HTTP answer and returns its status, 0 when the
// connection ended without one.
func (p *peer) answer(t testing.TB) int {
	t.Helper()
	resp, err := http.ReadResponse(p.in, nil)
	if err != nil {
		return 0
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	return resp.StatusCode
}

// frame is one masked frame; head is opcode and bits.
func frame(head byte, payload []byte) []byte {
	b := []byte{head}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	b = append(b, 0, 0, 0, 0) // a mask that changes nothing
	return append(b, payload...)
}

// send writes one masked frame, and does not mind that the gateway has had
// enough.
func (p *peer) send(head byte, payload string) { _, _ = p.Write(frame(head, []byte(payload))) }

// receive reads one frame of the gateway; false at the connection's end.
func (p *peer) receive() (opcode byte, payload []byte, ok bool) {
	var head [2]byte
	if _, err := io.ReadFull(p.in, head[:]); err != nil {
		return 0, nil, false
	}
	n := uint64(head[1] & 0x7F)
	switch n {
	case 126:
		var b [2]byte
		if _, err := io.ReadFull(p.in, b[:]); err != nil {
			return 0, nil, false
		}
		n = uint64(binary.BigEndian.Uint16(b[:]))
	case 127:
		var b [8]byte
		if _, err := io.ReadFull(p.in, b[:]); err != nil {
			return 0, nil, false
		}
		n = binary.BigEndian.Uint64(b[:])
	}
	payload = make([]byte, n)
	if _, err := io.ReadFull(p.in, payload); err != nil {
		return 0, nil, false
	}
	return head[0] & 0x0F, payload, true
}

// until reads up to a text frame that holds some text; false at the end.
func (p *peer) until(text string) (string, bool) {
	for {
		op, payload, ok := p.receive()
		if !ok {
			return "", false
		}
		if op == opText && strings.Contains(string(payload), text) {
			return string(payload), true
		}
	}
}

// closed reads to the end and returns the code of the close frame, 1006
// without one.
func (p *peer) closed() int {
	code := 1006
	for {
		op, payload, ok := p.receive()
		if !ok {
			return code
		}
		if op == opClose && len(payload) >= 2 {
			code = int(binary.BigEndian.Uint16(payload))
		}
	}
}
