package membroker

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/broker/brokertest"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestAReaderOfTheNewestEpochIsNotLedToAnEarlierOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := brokertest.NewRecorder(t)
		b := start(t, Config{}, sink)
		goOn := sink.Stall("room")
		say(t, b, "room", "1", kept)
		synctest.Wait() // the first is under delivery
		b.lose("room")
		say(t, b, "room", "2", kept)
		b.lose("room")
		say(t, b, "room", "3", kept)
		page, err := b.History(t.Context(), "room", wire.Position{}, broker.NoLimit)
		if err != nil || len(page.Publications) != 1 {
			t.Fatalf("%d publications, %v", len(page.Publications), err)
		}
		say(t, b, "room", "4", kept)
		goOn()
		// What the package's text says about readers, from page.Top on.
		at, got := page.Top, ""
		for _, e := range sink.Until("room", "4") {
			switch {
			case e.Gap != nil && (e.Gap.Top.Epoch != at.Epoch || e.Gap.Top.Offset > at.Offset):
				t.Errorf("led from %v to %v", at, e.Gap.Top)
				at = e.Gap.Top
			case e.Pub != nil && e.Pub.Position.Epoch == at.Epoch && e.Pub.Position.Offset > at.Offset:
				at = e.Pub.Position
				got += string(e.Pub.Data)
			}
		}
		if got != "4" {
			t.Errorf("read %s after the page", got)
		}
	})
}

var kept = broker.Retention{Size: 10, Age: time.Minute} // read only

// draft makes a publication to a room.
func draft(room, data string, keep broker.Retention) broker.Publication {
	return broker.Publication{
		Publication: wire.Publication{Room: room, Event: "said", Data: []byte(data), Publisher: "ann"},
		Retention:   keep,
	}
}

// say publishes, which must work.
func say(t testing.TB, b *Broker, room, data string, keep broker.Retention) wire.Position {
	t.Helper()
	pos, err := b.Publish(t.Context(), draft(room, data, keep))
	if err != nil {
		t.Fatalf("publishing %s to %s: %v", data, room, err)
	}
	return pos
}
