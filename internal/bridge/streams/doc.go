// Package streams connects the gateway with backends over Redis streams: it
// executes the commands that they put into one, and adds clients' events to
// those that routes of the policy name.
//
// # Commands
//
// All instances stand for election, and one reads: the holder of the lease, a
// key that expires. It reads through a script that looks at the lease first, so
// that an instance that was halted, and does not know yet that another reads,
// gets nothing. Entries are of one consumer group, and of one consumer in it,
// whoever reads: what one reader has left undone stands, in its order, where
// the next one begins.
//
// Entries of one target (a room, a user's room, a connection, everyone) are
// executed in their order, those of different targets at the same time. An
// entry with two targets, such as one that seats a user in a room, comes after
// what was before it for either, and before what follows.
//
// Delivery is at least once, and the entry's id is the idempotency key of what
// it publishes: so a publication that is repeated is stored once. What was
// executed is acknowledged and deleted; what can never be is moved to the
// dead-letter stream with the reason. What cannot be now (unavailable) is tried
// again, and what is behind it for its target waits, until Config.RetryFor is
// over.
//
// An entry that ends the process that executes it would end one instance after
// the other. Entries that were delivered some times without an end are
// therefore executed alone, and one that still has no end is dead.
//
// # Routes
//
// A Sender adds each event by one command, with about as many entries kept as
// the route says. A lost answer makes the client library try once more: the
// field callId is then the same.
//
// # Goroutines and locks
//
// Commands has one goroutine from Start to Shutdown, which stands for election
// and reads; while it reads, one that acknowledges, and one for each entry that
// is being executed. They end before the lease is given back. Commands.mu,
// board.mu and outbox.mu are held briefly, and nothing is locked under them. A
// Sender has no goroutines.
package streams
