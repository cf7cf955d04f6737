package traffic

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// answerTime is how long a publish may take before it is tried again.
const answerTime = 10 * time.Second

// publisher publishes in one room, each message until it is acknowledged, under
// the same idempotency key.
type publisher struct {
	t    *Traffic
	room *room
	way  way
}

// way is how a publisher reaches the gateway.
type way interface {
	// publish asks once, and returns the offset.
	publish(ctx context.Context, room, key string, data map[string]any) (uint64, error)
	close()
}

// errRefused is an answer that another try will not change.
var errRefused = errors.New("refused")

func newPublisher(t *Traffic, r *room) *publisher {
	p := &publisher{t: t, room: r}
	if len(t.cfg.Backends) > 0 {
		p.way = &backend{t: t}
	} else {
		p.way = &member{address: t.cfg.Address, token: t.cfg.Token(r.name + "-publisher")}
	}
	return p
}

// live publishes at the rate until ctx ends; the message under way is finished
// within more.
func (p *publisher) live(ctx, more context.Context) {
	defer p.way.close()
	if p.t.cfg.Rate == 0 {
		return
	}
	tick := time.NewTicker(time.Duration(float64(time.Second) / p.t.cfg.Rate))
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-tick.C:
			p.message(more, n)
		case <-ctx.Done():
			return
		}
	}
}

// tries bounds how often one message is published: longer than a drain or a
// failover takes.
const tries = 120

func (p *publisher) message(ctx context.Context, n int) {
	key := fmt.Sprintf("%s-%d", p.room.name, n)
	var last error
	for range tries {
		asked, cancel := context.WithTimeout(ctx, answerTime)
		offset, err := p.way.publish(asked, p.room.name, key, map[string]any{"key": key})
		cancel()
		if err == nil {
			p.t.acknowledged.Add(1)
			if err := p.room.acknowledged(offset, key); err != nil {
				p.t.fault("%v", err)
			}
			return
		}
		if last = err; errors.Is(err, errRefused) {
			break
		}
		p.t.repeated.Add(1)
		if pause(ctx, 250*time.Millisecond) != nil {
			return
		}
	}
	p.t.fault("%s cannot be published: %v", key, last)
}

// backend publishes over the server API, of one instance after the other.
type backend struct {
	t    *Traffic
	next int
}

func (b *backend) close() {}

func (b *backend) publish(ctx context.Context, room, key string, data map[string]any) (uint64, error) {
	body, err := json.Marshal(map[string]any{"room": room, "event": "traffic", "data": data, "idempotencyKey": key})
	if err != nil {
		return 0, err
	}
	base := b.t.cfg.Backends[b.next%len(b.t.cfg.Backends)]
	b.next++
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/api/v1/publish", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+b.t.cfg.Key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := b.t.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxPoll))
	if err != nil {
		return 0, err
	}
	var answer struct{ Offset uint64 }
	switch {
	case resp.StatusCode >= http.StatusInternalServerError:
		return 0, fmt.Errorf("status %d: %.200s", resp.StatusCode, raw)
	case resp.StatusCode != http.StatusOK:
		return 0, fmt.Errorf("%w with status %d: %.200s", errRefused, resp.StatusCode, raw)
	}
	if err := json.Unmarshal(raw, &answer); err != nil || answer.Offset == 0 {
		return 0, fmt.Errorf("%w: an answer without an offset: %.200s", errRefused, raw)
	}
	return answer.Offset, nil
}

// member publishes over a WebSocket, as a member of the room, and connects
// again when it is lost.
type member struct {
	address, token string
	ws             *socket // nil without a connection
}

func (m *member) close() {
	if m.ws != nil {
		m.ws.close()
		m.ws = nil
	}
}

func (m *member) publish(ctx context.Context, room, key string, data map[string]any) (uint64, error) {
	offset, err := m.ask(ctx, room, key, data)
	if err != nil {
		m.close()
	}
	return offset, err
}

func (m *member) ask(ctx context.Context, room, key string, data map[string]any) (uint64, error) {
	if m.ws == nil {
		ws, err := dialSocket(ctx, m.address, m.token)
		if err != nil {
			return 0, err
		}
		m.ws = ws
		if err := ws.join(ctx, room, ""); err != nil {
			return 0, err
		}
	}
	id, err := m.ws.request(ctx, "publish", map[string]any{
		"room": room, "event": "traffic", "data": data, "idempotencyKey": key, "echo": false,
	})
	for err == nil {
		var e event
		if e, err = m.ws.next(ctx); err == nil && (e.ID == id || e.Event == "error") {
			return published(e)
		}
	}
	return 0, err
}

func published(e event) (uint64, error) {
	s := e.said()
	if e.Event == "published" && s.Offset > 0 {
		return s.Offset, nil
	}
	if s.Code == "unavailable" || s.Code == "internal" || s.Code == "rate_limited" {
		return 0, fmt.Errorf("error %s: %s", s.Code, s.Message)
	}
	return 0, fmt.Errorf("%w: %s %s %s", errRefused, e.Event, s.Code, s.Message)
}
