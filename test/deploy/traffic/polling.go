package traffic

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
)

// polling is a Socket.IO session over HTTP long-polling.
type polling struct {
	client  *http.Client
	address string  // with the session's id
	pending []event // came with the last poll
}

var _ link = (*polling)(nil)

var errEnded = errors.New("the session was ended")

const (
	// maxPoll bounds the answer to one poll, in bytes.
	maxPoll = 16 << 20
	// separator stands between the packets of a payload.
	separator = "\x1e"
)

// dialPolling opens a session; with cookies it keeps those that a balancer sets,
// as browsers do.
func dialPolling(ctx context.Context, address, token string, cookies bool) (*polling, error) {
	p := &polling{
		client:  &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2}},
		address: address + "/socket.io/?EIO=4&transport=polling",
	}
	if cookies {
		jar, err := cookiejar.New(nil)
		if err != nil {
			return nil, err
		}
		p.client.Jar = jar
	}
	if err := p.open(ctx, token); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// open makes the session, and connects to the namespace "/".
func (p *polling) open(ctx context.Context, token string) error {
	raw, err := p.do(ctx, http.MethodGet, "")
	if err != nil {
		return err
	}
	var open struct{ Sid string }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(raw, "0")), &open); err != nil || open.Sid == "" {
		return fmt.Errorf("open a session: %q", raw)
	}
	p.address += "&sid=" + url.QueryEscape(open.Sid)
	auth, err := json.Marshal(map[string]string{"token": token})
	if err != nil {
		return err
	}
	_, err = p.do(ctx, http.MethodPost, "40"+string(auth))
	return err
}

func (p *polling) do(ctx context.Context, method, body string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, p.address, bytes.NewReader([]byte(body)))
	if err != nil {
		return "", err
	}
	if body != "" {
		req.Header.Set("Content-Type", "text/plain;charset=UTF-8")
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxPoll))
	if err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: status %d: %.200s", method, resp.StatusCode, raw)
	}
	return string(raw), nil
}

func (p *polling) join(ctx context.Context, room, since string) error {
	data := map[string]any{"room": room}
	if since != "" {
		data["since"] = since
	}
	packet, err := json.Marshal([]any{"join_room", data})
	if err != nil {
		return err
	}
	_, err = p.do(ctx, http.MethodPost, "42"+string(packet))
	return err
}

func (p *polling) next(ctx context.Context) (event, error) {
	for len(p.pending) == 0 {
		raw, err := p.do(ctx, http.MethodGet, "")
		if err != nil {
			return event{}, err
		}
		for packet := range strings.SplitSeq(raw, separator) {
			if err := p.take(ctx, packet); err != nil {
				return event{}, err
			}
		}
	}
	e := p.pending[0]
	p.pending = p.pending[1:]
	return e, nil
}

// take is one packet of Engine.IO, with one of Socket.IO inside.
func (p *polling) take(ctx context.Context, packet string) error {
	switch {
	case packet == "2": // a ping
		_, err := p.do(ctx, http.MethodPost, "3")
		return err
	case packet == "1", strings.HasPrefix(packet, "41"):
		p.pending = append(p.pending, event{Event: "reconnect"}) // behind what came before
		return nil
	case strings.HasPrefix(packet, "44"):
		return fmt.Errorf("%w: %.200s", errEnded, packet[2:])
	case strings.HasPrefix(packet, "42"):
		return p.event(packet[2:])
	}
	return nil // the reply to CONNECT, and a packet that only ends a poll
}

// event is [name, data, {room, offset, pos}].
func (p *polling) event(packet string) error {
	var parts []json.RawMessage
	var e event
	if err := json.Unmarshal([]byte(packet), &parts); err != nil || len(parts) == 0 {
		return fmt.Errorf("read the event %.200q: %w", packet, err)
	}
	if len(parts) > 2 {
		if err := json.Unmarshal(parts[2], &e); err != nil {
			return fmt.Errorf("read the event %.200q: %w", packet, err)
		}
	}
	if err := json.Unmarshal(parts[0], &e.Event); err != nil {
		return fmt.Errorf("read the event %.200q: %w", packet, err)
	}
	if len(parts) > 1 {
		e.Data = parts[1]
	}
	p.pending = append(p.pending, e)
	return nil
}

func (p *polling) close() { p.client.CloseIdleConnections() }
