// Package hub knows who is connected: sessions by connection id, by user and
// by room (the gateway's ConnectionManager). It takes what the broker delivers,
// encodes each publication once per codec and queues the same frames on every
// member's connection. It also tells members who is present.
//
// # Joining
//
// A joining member is seated first, so that nothing live passes it by; what is
// delivered meanwhile is held back, within a bound. Then the room's log is
// read, and, under the room's lock, the reply, what the member missed, and
// what was held back and is newer are queued in this order. From there on the
// member gets what is delivered, except what its page already held. A hole in
// between, or more held back than the bound, reads the log again.
//
// A member may join again, to resume from elsewhere or from now. If that fails,
// its stream goes on as if it had not asked.
//
// A backend's admission is a join on somebody else's word. It gives way to a
// join of the member's own: each carries its own record of what is held back,
// and only the latest of a seat is brought to its end.
//
// # Users
//
// The connections of a user are the members of the user's room: there is no
// second index to keep in step.
//
// # Fleet
//
// Where several instances share rooms the hub tells the Fleet who is here, and
// the Fleet says, through Notice, who has come to a room or left it on all
// instances. Lists of members have those elsewhere, as the Fleet knows them. A
// join that reads such a list notes what it is told meanwhile.
//
// A room without history has no position: a join that asks for none reads
// nothing, and its member takes whatever comes.
//
// # Locks
//
// Order: room.gate (first member and last member of a room: the broker's
// Subscribe and Unsubscribe, in one order per room), then either roomShard.mu (which
// rooms exist), or room.mu (members), then sessionShard.mu (which sessions
// exist), Session's lock, Conn's lock. The Fleet is told with room.mu held, and
// calls the hub with none of its own. No lock is held while the hub waits for
// the pacer, and only a room's gate, which nobody waits for to leave that room,
// while it waits for the broker.
package hub
