package polling

import (
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/transport"
)

func TestASessionTellsHowItIsCarriedAndWhatWaits(t *testing.T) {
	r := newRig(t, Config{})
	c := r.connect()
	c.peer.conn.Send(textFrame("hello"))
	got := transport.StateOf(c.peer.conn)
	if got.Name != "polling" || got.QueueBytes < len("4hello") || !got.Heard.IsZero() {
		t.Errorf("%+v", got)
	}
	c.expectGet("4hello")
	until(t, "nothing waits", func() bool { return transport.StateOf(c.peer.conn).QueueBytes == 0 })

	_, p, _ := r.dialNew()
	if got := transport.StateOf(p.conn); got.Name != "websocket" || got.Heard.IsZero() {
		t.Errorf("%+v", got)
	}
}
