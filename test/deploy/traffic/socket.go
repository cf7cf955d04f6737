package traffic

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/coder/websocket"
)

// socket is a WebSocket that speaks gateway.v1.
type socket struct {
	ws        *websocket.Conn
	transport *http.Transport
	requests  int // ids given out
}

var _ link = (*socket)(nil)

func dialSocket(ctx context.Context, address, token string) (*socket, error) {
	tr := &http.Transport{}
	ws, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(address, "http")+"/ws", &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: tr}, Subprotocols: []string{"gateway.v1"},
		HTTPHeader: http.Header{"Authorization": {"Bearer " + token}},
	})
	tr.CloseIdleConnections()
	if err != nil {
		return nil, err
	}
	ws.SetReadLimit(-1)
	return &socket{ws: ws, transport: tr}, nil
}

func (s *socket) join(ctx context.Context, room, since string) error {
	data := map[string]any{"room": room}
	if since != "" {
		data["since"] = since
	}
	_, err := s.request(ctx, "join_room", data)
	return err
}

// request sends one and returns its id.
func (s *socket) request(ctx context.Context, name string, data map[string]any) (int, error) {
	s.requests++
	b, err := json.Marshal(map[string]any{"event": name, "id": s.requests, "data": data})
	if err != nil {
		return 0, err
	}
	return s.requests, s.ws.Write(ctx, websocket.MessageText, b)
}

func (s *socket) next(ctx context.Context) (event, error) {
	var e event
	_, raw, err := s.ws.Read(ctx)
	if err != nil {
		return e, err
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		return e, fmt.Errorf("read %q: %w", raw, err)
	}
	return e, nil
}

func (s *socket) close() {
	_ = s.ws.CloseNow()
	s.transport.CloseIdleConnections()
}
