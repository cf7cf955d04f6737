package presence

import "sync/atomic"

type counters struct {
	batches, failures, anew atomic.Int64
	announced, unheard      atomic.Int64
	read, unread, buried    atomic.Int64
}

// Stats is a snapshot of a directory.
type Stats struct {
	Waiting   int  // changes that are not written yet
	Lingering int  // users in their grace
	Away      bool // Redis did not take what was last written
	Settled   bool // everything is written, and told

	// Since the start.
	Batches   int64 // written
	Failures  int64 // batches whose outcome is not known, and that are repeated
	Anew      int64 // times that everything was written
	Announced int64 // users who came or went, told to the fleet
	Unheard   int64 // those told to the members here alone
	Read      int64 // pages of a room's users, for everybody who asked at once
	Unread    int64 // of them, for one who asked, not or not wholly
	Buried    int64 // instances gone whose users this one told of
}

// Stats returns the counters. It is cheap.
func (d *Directory) Stats() Stats {
	d.mu.Lock()
	c := &d.changes
	waiting := len(c.members) + len(c.rooms) + len(c.users)
	settled := waiting+len(c.questions) == 0 && !c.anew && !d.working.Load() && !d.away.Load()
	lingering := d.lingering.count
	d.mu.Unlock()
	return Stats{
		Waiting: waiting, Lingering: lingering, Away: d.away.Load(), Settled: settled,
		Batches: d.stats.batches.Load(), Failures: d.stats.failures.Load(), Anew: d.stats.anew.Load(),
		Announced: d.stats.announced.Load(), Unheard: d.stats.unheard.Load(),
		Read: d.stats.read.Load(), Unread: d.stats.unread.Load(), Buried: d.stats.buried.Load(),
	}
}
