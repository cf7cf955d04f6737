package redisconn

// SlotOf, Old, WordsOf and Reachable are for tests of what no server can be
// brought to.
var (
	SlotOf    = slotOf
	WordsOf   = wordsOf
	Reachable = reachable
)

// Old tells whether a server that says so in INFO is too old.
func Old(info string) bool { return readFacts(info).old() }

// Seen is the last look at the shard: another value after another look.
func Seen(s *Shard) any { return s.seen.Load() }

// Better tells which of two views counts.
func Better(ok bool, epoch uint64, otherOK bool, other uint64) bool {
	return (&view{ok: ok, epoch: epoch}).better(&view{ok: otherOK, epoch: other})
}
