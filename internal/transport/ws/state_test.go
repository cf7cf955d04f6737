package ws

import (
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/transport"
)

func TestAConnectionTellsWhatIsQueuedAndWhenItWasHeard(t *testing.T) {
	r := newSlowRig(t, Config{})
	r.block()
	if got := transport.StateOf(r.conn); got.Name != "websocket" || got.QueueBytes != r.queued || got.QueueBytes == 0 {
		t.Errorf("%+v, %d bytes are queued", got, r.queued)
	}
	r.messages()
	if got := transport.StateOf(r.conn); got.QueueBytes != 0 {
		t.Errorf("all was taken: %+v", got)
	}

	begun := time.Now()
	eachMode(t, Config{}, func(t *testing.T, r *rig) {
		_, p := r.connect()
		if got := transport.StateOf(p.conn); got.Heard.Before(begun) || got.Heard.After(time.Now()) {
			t.Errorf("%+v", got)
		}
	})
}
