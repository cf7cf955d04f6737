package redisbroker

import (
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestWhatIsFreshInANewEpoch(t *testing.T) {
	old := at(1, 8) // published at 1008
	pos := func(offset uint64, time int64) *wire.Publication {
		return &wire.Publication{Position: at(2, offset), Time: time}
	}
	for name, c := range map[string]struct {
		job  reading
		pub  *wire.Publication
		want bool
	}{
		"published later":                             {reading{since: old, time: 1008}, pos(6, 1009), true},
		"published in the same millisecond":           {reading{since: old, time: 1008}, pos(6, 1008), true},
		"published before":                            {reading{since: old, time: 1008}, pos(5, 1005), false},
		"in the new epoch, by a clock that is behind": {reading{since: old, time: 1008, hint: at(2, 5)}, pos(6, 1001), true},
		"between the old epoch and the new one":       {reading{since: old, time: 1008, hint: at(2, 7)}, pos(6, 1009), true},
		"nothing was delivered":                       {reading{since: old}, pos(1, 1001), true},
		"nothing was delivered, but the end is told":  {reading{since: old, hint: at(2, 5)}, pos(5, 1005), false},
		"the end of yet another epoch is told":        {reading{since: old, hint: at(3, 5)}, pos(5, 1005), true},
	} {
		if got := c.job.fresh(c.pub); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestWhereALogIsGoneOnFrom(t *testing.T) {
	page := []*wire.Publication{pub(at(2, 4)), pub(at(2, 5)), pub(at(2, 6))}
	later := func(offset uint64) func(*wire.Publication) bool {
		return func(p *wire.Publication) bool { return p.Position.Offset >= offset }
	}
	for name, c := range map[string]struct {
		at    wire.Position
		fresh func(*wire.Publication) bool
		want  wire.Position
		found bool
	}{
		"before the first":   {at(2, 3), later(4), at(2, 3), true},
		"within":             {at(2, 3), later(6), at(2, 5), true},
		"behind all of them": {at(2, 3), later(7), at(2, 6), false},
		"behind the first, whose before is not known": {wire.Position{}, later(4), at(2, 4), true},
	} {
		if got, found := before(c.at, page, c.fresh); got != c.want || found != c.found {
			t.Errorf("%s: %v, %v", name, got, found)
		}
	}
}
