package polling

import "sync/atomic"

// Stats is a snapshot of what the server has done since it started.
type Stats struct {
	Sessions          int64 // now, on any transport
	Polling           int64 // of these, those that poll
	Opened            int64 // sessions
	Upgraded          int64 // moved from polling to a WebSocket
	UpgradesFailed    int64 // WebSockets for a session that did not take it over
	Refused           int64 // requests answered with an error
	Polls             int64 // GETs that were answered with packets
	Posts             int64 // POSTs that were taken
	PacketsIn         int64 // messages, of polling sessions only
	PacketsOut        int64 // frames, of polling sessions only
	HeldBytes         int64 // see Config.MemoryBytes
	SlowCuts          int64 // queue bound passed while polling
	BudgetCuts        int64 // the largest sessions when the budget of all was passed
	HeartbeatTimeouts int64
	ProtocolErrors    int64 // broken rules, for which the session ended
}

type counters struct {
	opened, upgraded, unupgraded, refused atomic.Int64
	polls, posts, in, out                 atomic.Int64
	slow, budget, heartbeat, protocol     atomic.Int64
}

// Stats returns the counters. It is cheap and safe at any time.
func (s *Server) Stats() Stats {
	k := &s.stats
	s.mu.Lock()
	sessions, polling := len(s.sessions), len(s.polling)
	s.mu.Unlock()
	return Stats{
		Sessions: int64(sessions), Polling: int64(polling),
		Opened: k.opened.Load(), Upgraded: k.upgraded.Load(), UpgradesFailed: k.unupgraded.Load(), Refused: k.refused.Load(),
		Polls: k.polls.Load(), Posts: k.posts.Load(), PacketsIn: k.in.Load(), PacketsOut: k.out.Load(),
		HeldBytes: s.budget.total.Load(), SlowCuts: k.slow.Load(), BudgetCuts: k.budget.Load(),
		HeartbeatTimeouts: k.heartbeat.Load(), ProtocolErrors: k.protocol.Load(),
	}
}
