package streams

import "sync/atomic"

// CommandStats is a snapshot of what this instance has done with commands since
// it started.
type CommandStats struct {
	Active   bool  // this instance reads them now
	Tenures  int64 // how often it began to
	Executed int64 // commands that were carried out
	Absent   int64 // those of them that found no connection
	Dead     int64 // commands that were moved to the dead letters
	Trimmed  int64 // entries that were deleted before they were executed
	Retries  int64 // attempts beside the first ones
	UnderWay int64 // commands that were read and are not acknowledged, now
	Length   int64 // entries in the stream when it was last looked at; 0 unless Active
}

// Stats returns the counters.
func (c *Commands) Stats() CommandStats {
	s := &c.stats
	out := CommandStats{
		Active: s.active.Load(), Tenures: s.tenures.Load(), Executed: s.executed.Load(), Absent: s.absent.Load(),
		Dead: s.dead.Load(), Trimmed: s.gone.Load(), Retries: s.retries.Load(), UnderWay: s.underWay.Load(),
	}
	if out.Active {
		out.Length = s.length.Load()
	}
	return out
}

// counters count what was done with commands.
type counters struct {
	active                                                           atomic.Bool
	tenures, executed, absent, dead, gone, retries, length, underWay atomic.Int64
}

// done counts a command that was carried out.
func (c *counters) done(absent bool) {
	c.executed.Add(1)
	if absent {
		c.absent.Add(1)
	}
}

// RouteStats is a snapshot of what routes have added to streams since the
// start.
type RouteStats struct {
	Added   int64 // events
	Failed  int64 // events that Redis did not take, or not known to
	Refused int64 // events beyond what may be on its way at once
	Running int64 // events on their way now
}
