package ws

import "sync/atomic"

// Stats is a snapshot of what the transport has done since it started.
type Stats struct {
	Open              int64 // connections now
	Accepted          int64
	Refused           int64 // upgrades that failed
	MessagesIn        int64 // text and binary
	ControlIn         int64 // ping, pong and close frames
	BytesIn           int64 // as read from sockets
	FramesOut         int64 // written whole, control frames included
	BytesOut          int64 // as written to sockets
	QueuedBytes       int64 // queued and not yet attempted, see Server.Pace
	HeldBytes         int64 // queued for peers that do not read fast enough, see Config.SendBudgetBytes
	SlowCuts          int64 // queue bound passed, or write timeout
	BudgetCuts        int64 // the largest queues when the budget of all was passed
	Dropped           int64 // publications left out by drop_oldest
	Conflated         int64 // publications replaced by newer ones
	HeartbeatTimeouts int64
	ProtocolErrors    int64 // broken rules and limits of the framing layer
	ClosedByPeer      int64 // with a close frame
	ClosedByServer    int64 // Conn.Close, slow cuts and protocol errors
	ClosedAbnormally  int64 // cut, reset, or ended without a close frame
}

type counters struct {
	open, accepted, refused        atomic.Int64
	messagesIn, controlIn, bytesIn atomic.Int64
	framesOut, bytesOut            atomic.Int64
	slow, budget                   atomic.Int64
	dropped, conflated             atomic.Int64
	heartbeat, protocol            atomic.Int64
	byPeer, byServer, abnormally   atomic.Int64
}

// Stats returns the counters. It is cheap and safe at any time.
func (s *Server) Stats() Stats {
	k := &s.stats
	return Stats{
		Open: k.open.Load(), Accepted: k.accepted.Load(), Refused: k.refused.Load(),
		MessagesIn: k.messagesIn.Load(), ControlIn: k.controlIn.Load(), BytesIn: k.bytesIn.Load(),
		FramesOut: k.framesOut.Load(), BytesOut: k.bytesOut.Load(), QueuedBytes: s.pending(),
		HeldBytes: s.budget.total.Load(), BudgetCuts: k.budget.Load(), Dropped: k.dropped.Load(), Conflated: k.conflated.Load(),
		SlowCuts: k.slow.Load(), HeartbeatTimeouts: k.heartbeat.Load(), ProtocolErrors: k.protocol.Load(),
		ClosedByPeer: k.byPeer.Load(), ClosedByServer: k.byServer.Load(), ClosedAbnormally: k.abnormally.Load(),
	}
}
