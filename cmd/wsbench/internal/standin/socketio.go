package standin

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/coder/websocket"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/gwproto"
)

// open leads a Socket.IO client through its CONNECT, and pings it once.
func (c *client) open(ctx context.Context) error {
	if err := c.say(ctx, `0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":65536}`); err != nil {
		return err
	}
	_, msg, err := c.ws.Read(ctx)
	if err != nil {
		return err
	}
	auth, ok := bytes.CutPrefix(msg, []byte("40"))
	if c.user = gwproto.String(gwproto.Field(auth, "token")); !ok || c.user == "" {
		return errors.Join(errors.New("no CONNECT with a token"), c.say(ctx, `44{"message":"unauthenticated"}`))
	}
	if err := c.say(ctx, `40{"sid":"y"}`); err != nil {
		return err
	}
	return c.say(ctx, "2")
}

func (c *client) say(ctx context.Context, packet string) error {
	return c.ws.Write(ctx, websocket.MessageText, []byte(packet))
}

// fromSocketIO makes gateway.v1 of an event; nil for other packets.
func fromSocketIO(msg []byte) []byte {
	rest, ok := bytes.CutPrefix(msg, []byte("42"))
	n := bytes.IndexByte(rest, '[')
	if !ok || n < 0 {
		return nil
	}
	list := gwproto.Elements(rest[n:])
	if !list.Next() {
		return nil
	}
	plain := append([]byte(`{"event":`), list.Value...)
	if n > 0 {
		plain = append(append(plain, `,"id":`...), rest[:n]...)
	}
	if list.Next() {
		plain = append(append(plain, `,"data":`...), list.Value...)
	}
	return append(plain, '}')
}

// toSocketIO is the other way round.
func toSocketIO(text string) string {
	var e gwproto.Envelope
	gwproto.Scan([]byte(text), &e)
	switch {
	case e.ID != nil && string(e.Event) == "error":
		return fmt.Sprintf(`43%s[{"ok":false,"error":%s}]`, e.ID, e.Data)
	case e.ID != nil:
		return fmt.Sprintf(`43%s[{"ok":true,"event":%q,"data":%s}]`, e.ID, e.Event, e.Data)
	case e.HasOffset:
		return fmt.Sprintf(`42[%q,%s,{"room":%q,"offset":%d,"pos":%q}]`, e.Event, e.Data, e.Room, e.Offset, e.Pos)
	}
	return fmt.Sprintf(`42[%q,%s]`, e.Event, e.Data)
}
