package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/moonx-farm/ws-gateway/internal/wire"
	"github.com/moonx-farm/ws-gateway/test/chaos/check"
)

// publisher makes messages and publishes each until it is acknowledged, with
// the same key at every attempt, each at another gateway. Now and then it
// repeats one that was.
type publisher struct {
	*run
	name string
	rand *rand.Rand
	way  way
	at   *gateway
	made int
	// loyal publishers stay with one gateway.
	loyal bool
}

// way is how a publisher reaches gateways.
type way interface {
	// publish asks once. errAgain wraps what may be tried again.
	publish(ctx context.Context, g *gateway, room, key string, data []byte) (wire.Position, error)
	close()
}

var (
	// errAgain says that the outcome is unknown, or that there is none.
	errAgain = errors.New("not acknowledged")
	// errUnavailable is errAgain as the gateway's answer.
	errUnavailable = fmt.Errorf("%w: unavailable", errAgain)
)

// live publishes until ctx ends, and then finishes its last message within
// more.
func (p *publisher) live(ctx, more context.Context) {
	defer p.way.close()
	for ctx.Err() == nil {
		room := p.names[p.rand.IntN(len(p.names))]
		if !p.message(more, room) {
			return
		}
		sleep(ctx, time.Duration(p.rand.ExpFloat64()*float64(p.pace)))
	}
}

// message publishes one message; false when it could not be.
func (p *publisher) message(ctx context.Context, room string) bool {
	p.made++
	key := fmt.Sprintf("%s-%d", p.name, p.made)
	data := fmt.Appendf(nil, `{"key":%q,"made":%d,"pad":%q}`, key, p.history.Now(), strings.Repeat("x", p.rand.IntN(1+p.rand.IntN(maxPad))))
	p.history.Add(check.Event{Kind: check.Sent, Who: p.name, Room: room, Key: key, Sum: sum(data)})
	repeats := 1
	if p.rand.IntN(10) == 0 {
		repeats = 2
	}
	for n := range repeats {
		if n > 0 {
			p.move()
		}
		if !p.acknowledged(ctx, room, key, data) {
			return false
		}
	}
	return true
}

// move goes to another gateway.
func (p *publisher) move() {
	if p.at == nil || !p.loyal {
		p.at = p.other(p.rand, p.at)
	}
}

func (p *publisher) acknowledged(ctx context.Context, room, key string, data []byte) bool {
	if p.at == nil || p.rand.IntN(4) == 0 {
		p.move()
	}
	for begun := time.Now(); ctx.Err() == nil; p.move() {
		from := p.history.Now()
		pos, err := p.way.publish(ctx, p.at, room, key, data)
		switch {
		case err == nil:
			p.history.Add(check.Event{
				Kind: check.Acknowledged, Who: p.name, Gateway: p.at.n, Room: room, Key: key, Pos: pos, From: from,
			})
			p.served[p.at.n].acknowledged(from)
			return true
		case !errors.Is(err, errAgain):
			p.problem("%s publishes %s in %s: %v", p.name, key, room, err)
			return true
		}
		p.history.Add(check.Event{
			Kind: check.Failed, Who: p.name, Gateway: p.at.n, Room: room, Key: key, Reason: err.Error(), From: from,
		})
		if time.Since(begun) > keyTime { // the key may be forgotten soon
			return true
		}
		sleep(ctx, time.Duration(50+p.rand.IntN(250))*time.Millisecond)
	}
	return false
}

// backend publishes over the server API.
type backend struct{ client *http.Client }

func newBackend() *backend {
	return &backend{&http.Client{Transport: &http.Transport{IdleConnTimeout: time.Second}}}
}

func (b *backend) close() { b.client.CloseIdleConnections() }

func (b *backend) publish(ctx context.Context, g *gateway, room, key string, data []byte) (wire.Position, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	body, err := json.Marshal(map[string]any{"room": room, "event": "m", "data": json.RawMessage(data), "idempotencyKey": key})
	if err != nil {
		return wire.Position{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+g.api.Addr()+"/api/v1/publish", bytes.NewReader(body))
	if err != nil {
		return wire.Position{}, err
	}
	req.Header.Set("Authorization", "Bearer "+apiKey)
	req.Header.Set("Content-Type", "application/json")
	resp, err := b.client.Do(req)
	if err != nil {
		return wire.Position{}, fmt.Errorf("%w: %w", errAgain, err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return wire.Position{}, fmt.Errorf("%w: %w", errAgain, err)
	}
	var answer struct{ Pos, Code, Detail string }
	if err := json.Unmarshal(text, &answer); err != nil {
		return wire.Position{}, fmt.Errorf("status %d with %q", resp.StatusCode, text)
	}
	switch resp.StatusCode {
	case http.StatusOK:
		return placed(answer.Pos)
	case http.StatusServiceUnavailable:
		return wire.Position{}, fmt.Errorf("%w: %s", errUnavailable, answer.Detail)
	}
	return wire.Position{}, fmt.Errorf("status %d, %s: %s", resp.StatusCode, answer.Code, answer.Detail)
}

// placed reads the position of an acknowledgement; that there is none is for
// the checker to judge.
func placed(pos string) (wire.Position, error) {
	if pos == "" {
		return wire.Position{}, nil
	}
	return wire.ParsePosition(pos)
}

// member publishes over a WebSocket, which it keeps while it can.
type member struct {
	name string
	at   *gateway
	conn *websocket.Conn
	end  func()
	next int
}

func (m *member) close() {
	if m.conn != nil {
		m.end()
		m.conn = nil
	}
}

func (m *member) publish(ctx context.Context, g *gateway, room, key string, data []byte) (wire.Position, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	if m.at != g {
		m.close()
	}
	if m.conn == nil {
		conn, end, err := dial(ctx, g, m.name, false)
		if err != nil {
			return wire.Position{}, fmt.Errorf("%w: %w", errAgain, err)
		}
		m.at, m.conn, m.end = g, conn, end
	}
	m.next++
	pos, err := m.ask(ctx, request{wire.EventPublish, m.next, map[string]any{
		"room": room, "event": "m", "data": json.RawMessage(data), "idempotencyKey": key,
	}})
	if err != nil && !errors.Is(err, errUnavailable) {
		m.close()
	}
	return pos, err
}

// ask sends a publish and reads up to its answer.
func (m *member) ask(ctx context.Context, r request) (wire.Position, error) {
	if err := write(ctx, m.conn, r); err != nil {
		return wire.Position{}, fmt.Errorf("%w: %w", errAgain, err)
	}
	for {
		_, raw, err := m.conn.Read(ctx)
		if err != nil {
			return wire.Position{}, fmt.Errorf("%w: %w", errAgain, err)
		}
		var t told
		var d said
		if err := errors.Join(json.Unmarshal(raw, &t), json.Unmarshal(t.Data, &d)); err != nil {
			return wire.Position{}, fmt.Errorf("%s: %w", raw, err)
		}
		switch {
		case t.ID != r.ID:
		case t.Event == wire.EventPublished:
			return placed(d.Pos)
		case t.Event == wire.EventError && d.Code == string(wire.Unavailable):
			return wire.Position{}, fmt.Errorf("%w: %s", errUnavailable, d.Message)
		default:
			return wire.Position{}, fmt.Errorf("answered with %s", raw)
		}
	}
}
