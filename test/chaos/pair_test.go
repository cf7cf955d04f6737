package chaos

import (
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/moonx-farm/ws-gateway/test/chaos/check"
	"github.com/moonx-farm/ws-gateway/test/chaos/link"
)

// TestThePairLosesWhatItSays proves the nemesis itself: a promotion after a cut
// loses, one without a cut does not, a crash never does, and each is recorded
// as it was.
func TestThePairLosesWhatItSays(t *testing.T) {
	const room = "room:1"
	p, h := newPair(t, []string{room}), check.NewHistory()
	gateway := newLink(t, p.now().Addr())
	client := redis.NewClient(&redis.Options{Addr: gateway.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	next := 0
	publish := func(n int) {
		t.Helper()
		for range n {
			next++
			id := fmt.Sprintf("%d-%d", next, 1000+next)
			if err := client.XAdd(t.Context(), &redis.XAddArgs{Stream: fmt.Sprintf(logKey, room), ID: id, Values: []string{"p", "x"}}).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	length := func() int {
		t.Helper()
		logs, err := p.logs(t.Context(), p.now(), false)
		if err != nil {
			t.Fatal(err)
		}
		return len(logs[room].Entries)
	}
	promote := func() check.Break {
		t.Helper()
		if err := p.promote(t.Context(), h, []*link.Link{gateway}, func() bool { return true }); err != nil {
			t.Fatal(err)
		}
		breaks := h.Record().Breaks
		return breaks[len(breaks)-1]
	}

	publish(3)
	until(t, "the replica has it", func() bool {
		logs, err := p.logs(t.Context(), p.other(), false)
		return err == nil && len(logs[room].Entries) == 3
	})
	p.replication.Apply(link.Shape{Silent: [2]bool{true, true}})
	publish(2)
	if b := promote(); len(b.Before[room].Entries) != 5 || len(b.After[room].Entries) != 3 || b.Cause != check.Promotion || b.Start >= b.End {
		t.Errorf("recorded as %+v", b)
	}
	if n := length(); n != 3 {
		t.Errorf("%d entries after a promotion that lost two", n)
	}
	until(t, "the old master follows", func() bool { return p.following(t.Context()) })
	publish(1)
	p.now().Kill()
	p.now().Restart()
	if n := length(); n != 4 {
		t.Errorf("%d entries after a crash, want 4", n)
	}
	until(t, "the replica follows again", func() bool { return p.following(t.Context()) })
	if b := promote(); len(b.After[room].Entries) != 4 {
		t.Errorf("recorded as %+v", b)
	}
	publish(1)
	if err := p.flush(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	breaks := h.Record().Breaks
	if b := breaks[len(breaks)-1]; b.Cause != check.Flush || len(b.Before[room].Entries) != 5 || len(b.After) != 0 || length() != 0 {
		t.Errorf("recorded as %+v", b)
	}
	if got := breaks[0].Before[room].Entries[4]; got != (check.Entry{Offset: 5, Nonce: 1005}) {
		t.Errorf("the last entry is %+v", got)
	}
}
