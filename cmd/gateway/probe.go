package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // as RFC 6455 wants it
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// The parts of RFC 6455 that a probe needs.
const (
	acceptGUID  = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" // section 1.3
	opClose     = 8
	opPing      = 9
	opPong      = 10
	finalFrame  = 0x80
	maskedFrame = 0x80
	maxProbed   = 1 << 20 // bytes of one frame that a probe reads over
)

const (
	probeTime     = 10 * time.Second
	probeProtocol = "gateway.v1"
)

// probe opens a WebSocket at a URL as a client does, pings and closes: it says
// whether all of it was answered. It sends no credential, so it does not ask
// whose certificate it sees. origin is of the page that a browser would show,
// "" for none.
func probe(url, origin string) int {
	ctx, cancel := context.WithTimeout(context.Background(), probeTime)
	defer cancel()
	begun := time.Now()
	if err := openAndClose(ctx, url, origin); err != nil {
		return failed(fmt.Errorf("probe: %w", err))
	}
	return say(os.Stdout, fmt.Sprintf("a WebSocket opened, answered and closed in %v\n", time.Since(begun).Round(time.Millisecond)), exitOK)
}

func openAndClose(ctx context.Context, url, origin string) error {
	conn, err := upgrade(ctx, url, origin)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	// Behind the handshake the request's context ends nothing by itself.
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	r := bufio.NewReader(conn)
	for _, step := range []struct {
		send, want byte
		payload    string
		name       string
	}{
		{opPing, opPong, "probe", "ping"},
		{opClose, opClose, "\x03\xe8", "close"}, // 1000
	} {
		if err := writeFrame(conn, step.send, step.payload); err != nil {
			return fmt.Errorf("send a %s: %w", step.name, err)
		}
		if err := readUntil(r, step.want); err != nil {
			return fmt.Errorf("wait for the answer to a %s: %w", step.name, err)
		}
	}
	return nil
}

// upgrade returns the connection behind a handshake; ctx bounds the handshake.
func upgrade(ctx context.Context, url, origin string) (io.ReadWriteCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.Replace(url, "ws", "http", 1), nil) //nolint:gosec // whoever starts the probe says where
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce) // never fails
	key := base64.StdEncoding.EncodeToString(nonce)
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Origin": origin,
		"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key, "Sec-WebSocket-Protocol": probeProtocol,
	} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	client := http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see probe
		DisableKeepAlives: true,
	}}
	resp, err := client.Do(req) //nolint:gosec // as above
	if err != nil {
		return nil, err
	}
	conn, open := resp.Body.(io.ReadWriteCloser)
	err = accepted(resp, key)
	if err == nil && !open {
		err = errors.New("the connection was not handed over")
	}
	if err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	return conn, nil
}

// accepted checks the answer to a handshake.
func accepted(resp *http.Response, key string) error {
	sum := sha1.Sum([]byte(key + acceptGUID)) //nolint:gosec // as RFC 6455 wants it
	switch {
	case resp.StatusCode != http.StatusSwitchingProtocols:
		return fmt.Errorf("want status 101, got %s", resp.Status)
	case resp.Header.Get("Sec-WebSocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]):
		return errors.New("the answer is not to this handshake")
	case resp.Header.Get("Sec-WebSocket-Protocol") != probeProtocol:
		return errors.New("what answers does not speak " + probeProtocol)
	}
	return nil
}

// writeFrame sends a control frame, which has up to 125 bytes, as a client must:
// masked. A mask of
// zeros is one, and nothing here needs to be hidden from a proxy.
func writeFrame(w io.Writer, op byte, payload string) error {
	size := byte(len(payload)) //nolint:gosec // up to 125
	frame := append([]byte{finalFrame | op, maskedFrame | size, 0, 0, 0, 0}, payload...)
	_, err := w.Write(frame)
	return err
}

// readUntil reads frames until there is one of this kind.
func readUntil(r *bufio.Reader, want byte) error {
	for {
		var head [2]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return err
		}
		size, err := frameSize(r, head[1])
		if err != nil {
			return err
		}
		payload, err := io.ReadAll(io.LimitReader(r, size))
		if err != nil {
			return err
		}
		switch op := head[0] &^ finalFrame; {
		case op == want:
			return nil
		case op == opClose && len(payload) >= 2:
			return fmt.Errorf("closed with %d %s", binary.BigEndian.Uint16(payload), payload[2:])
		}
	}
}

// frameSize is the length of a server's frame (RFC 6455 section 5.2).
func frameSize(r io.Reader, first byte) (int64, error) {
	long := make([]byte, 8)
	switch first {
	default:
		return int64(first &^ maskedFrame), nil
	case 126:
		if _, err := io.ReadFull(r, long[6:]); err != nil {
			return 0, err
		}
	case 127:
		if _, err := io.ReadFull(r, long); err != nil {
			return 0, err
		}
	}
	size := binary.BigEndian.Uint64(long)
	if size > maxProbed {
		return 0, fmt.Errorf("a frame of %d bytes", size)
	}
	return int64(size), nil
}
