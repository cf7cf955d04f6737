package redisbroker

import (
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// at makes a position whose nonce is ten times its offset.
func at(epoch, offset uint64) wire.Position {
	return wire.Position{Epoch: epoch, Offset: offset, Nonce: 10 * offset}
}

func pub(pos wire.Position) *wire.Publication {
	return &wire.Publication{Position: pos, Time: int64(1000 + pos.Offset)}
}

func known(pos wire.Position) cursor {
	var c cursor
	c.begin(pos)
	return c
}

func TestOnlyWhatFollowsIsDelivered(t *testing.T) {
	refilled := known(at(1, 2))
	refilled.refill([]*wire.Publication{pub(at(1, 3)), pub(at(1, 4)), pub(at(1, 5))})
	other := wire.Position{Epoch: 1, Offset: 4, Nonce: 77}
	for name, c := range map[string]struct {
		cursor cursor
		pos    wire.Position
		prev   uint64
		want   step
		then   wire.Position
	}{
		"the next":                                {known(at(1, 5)), at(1, 6), 50, deliver, at(1, 6)},
		"the first of all":                        {known(at(1, 0)), at(1, 1), 0, deliver, at(1, 1)},
		"the first that is known of the room":     {cursor{}, at(1, 7), 60, deliver, at(1, 7)},
		"one of a room without history":           {known(at(1, 5)), wire.Position{Nonce: 9}, 0, deliver, at(1, 5)},
		"one of a room that is not known":         {cursor{}, wire.Position{Nonce: 9}, 0, deliver, wire.Position{}},
		"one after a hole":                        {known(at(1, 5)), at(1, 7), 60, look, at(1, 5)},
		"the next after another entry":            {known(at(1, 5)), at(1, 6), 51, look, at(1, 5)},
		"one of another epoch":                    {known(at(1, 5)), at(2, 6), 50, look, at(1, 5)},
		"the first of another epoch":              {known(at(1, 5)), at(2, 1), 0, look, at(1, 5)},
		"one that may have been delivered":        {known(at(1, 5)), at(1, 5), 40, look, at(1, 5)},
		"one that was refilled":                   {refilled, at(1, 4), 30, drop, at(1, 5)},
		"the newest that was refilled":            {refilled, at(1, 5), 40, drop, at(1, 5)},
		"the oldest that was refilled":            {refilled, at(1, 3), 20, drop, at(1, 5)},
		"one from before the refill":              {refilled, at(1, 2), 10, look, at(1, 5)},
		"another entry in place of one refilled":  {refilled, other, 30, look, at(1, 5)},
		"the one after the refill":                {refilled, at(1, 6), 50, deliver, at(1, 6)},
		"the same offset of an epoch that is old": {refilled, at(9, 4), 30, look, at(1, 5)},
	} {
		t.Run(name, func(t *testing.T) {
			got := c.cursor.judge(pub(c.pos), c.prev)
			if got != c.want || c.cursor.at != c.then {
				t.Errorf("step %d, then at %v", got, c.cursor.at)
			}
		})
	}
}

func TestWhatFollowsARefillEndsItsMemory(t *testing.T) {
	c := known(at(1, 0))
	var page []*wire.Publication
	for o := uint64(1); o <= 2*refilledMost; o++ {
		page = append(page, pub(at(1, o)))
	}
	if !c.contiguous(page) {
		t.Fatal("the page does not follow")
	}
	c.refill(page)
	if n := len(c.refilled); n != refilledMost || c.at != at(1, 2*refilledMost) || c.time != 1000+2*refilledMost {
		t.Fatalf("%d nonces, at %v, time %d", n, c.at, c.time)
	}
	if s := c.judge(pub(at(1, 2*refilledMost)), 10*(2*refilledMost-1)); s != drop {
		t.Errorf("step %d for the newest", s)
	}
	if s := c.judge(pub(at(1, 2*refilledMost+1)), 20*refilledMost); s != deliver || c.refilled != nil {
		t.Errorf("step %d for the next, %d nonces", s, len(c.refilled))
	}
}

func TestAPageMustFollowWithoutAHole(t *testing.T) {
	c := known(at(1, 3))
	for name, page := range map[string][]*wire.Publication{
		"a hole before":  {pub(at(1, 5))},
		"a hole within":  {pub(at(1, 4)), pub(at(1, 6))},
		"another epoch":  {pub(at(2, 4))},
		"what was there": {pub(at(1, 3)), pub(at(1, 4))},
	} {
		if c.contiguous(page) {
			t.Errorf("%s is taken", name)
		}
	}
	if !c.contiguous(nil) || !c.contiguous([]*wire.Publication{pub(at(1, 4)), pub(at(1, 5))}) {
		t.Error("what follows is not taken")
	}
}

func TestAReadersPageMustMeetWhatComesLive(t *testing.T) {
	live := known(at(1, 5))
	live.judge(pub(at(1, 6)), 50)
	live.judge(pub(at(1, 7)), 60)
	for name, c := range map[string]struct {
		cursor cursor
		top    wire.Position
		want   meeting
	}{
		"nothing has come":             {cursor{}, at(1, 3), unknown},
		"it ends where it began":       {live, at(1, 5), meets},
		"it ends in what was handed":   {live, at(1, 6), meets},
		"it ends with it":              {live, at(1, 7), meets},
		"it is ahead":                  {live, at(1, 9), meets},
		"it ends before it began":      {live, at(1, 4), tooOld},
		"it is of another epoch":       {live, at(2, 7), apart},
		"it has another entry at last": {live, wire.Position{Epoch: 1, Offset: 7, Nonce: 3}, apart},
	} {
		if got := c.cursor.meet(c.top); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
