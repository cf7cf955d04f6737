// Package redisbroker is the broker that instances share through Redis. Package
// roomlog beneath it stores publications and reads them back; this package
// brings them to the Sink of each instance that has members in the room.
//
// # Shape
//
// A link per shard holds one subscription connection after the other. Its
// receive loop never waits: it decodes, looks at the room's cursor and puts the
// publication into the room's hand-off queue. From there it is as in package
// membroker: rooms with something to hand over are on one run queue, workers
// take them off it, and a room is with one worker at most, which makes calls of
// the Sink for one room come one at a time and in order.
//
// Subscriptions are told to the server in batches, and end a moment after their
// Unsubscribe. Each connection hears its own canary every second; a silent one, or
// one that answers but brings no canary for long, is replaced. When a connection was lost, or a slot of a cluster has moved,
// rooms are subscribed to again and their positions verified.
//
// # No silent hole
//
// A room's cursor is the position that everything has been handed on up to. A
// publication is delivered when it is the next one of the same epoch and the
// entry before it, whose nonce it names, is the cursor's. Everything else makes
// the room fall behind: what comes is put aside, and the room's log is read from
// the cursor on, until what was put aside follows, or is known to be in the log
// already, or in none. When the log does not continue from the cursor a Gap says
// so, and the room goes on at the earliest position in the log whose
// publications were not delivered yet.
//
// The cursor of a room begins with the first page that is read after it was
// subscribed to, or with the first publication; a page that ends before what
// was delivered begins, or that is of another epoch, is read again. So every
// reader's page and what comes live fit together.
//
// Positions are verified when Redis is not certain to hold what it had
// acknowledged (another master, a restart, a connection that was lost), and of
// idle rooms by and by, since no later publication shows what they miss. A log
// that was rolled back ends its epoch then, and is said to have a Gap.
//
// # Bounds
//
// What waits for the Sink is bounded per room and for the process. Publishers on
// this instance wait beyond it; what others publish is left out beyond twice as
// much, and read from the log once there is space. In rooms without history that
// is a Gap.
//
// # Durability
//
// A publish that waits for replicas is delivered by the script before they have
// it, and delivery acknowledges. So the instance that waits holds the room's
// hand-off until it knows; should replicas fail to confirm, the delivery is
// marked as unconfirmed. Other instances deliver at once.
//
// # Goroutines and locks
//
// Start starts the workers, the readers of logs, the agenda and what moves
// rooms between links; each link has a goroutine that writes and, with a
// connection, one that receives and one that sends canaries, and one that
// verifies. Shutdown ends them all and waits.
//
// Lock order: registry.mu, then room.mu, then one of link.mu, durables.mu,
// agenda.mu and those of package handoff. Two rooms are never locked together.
// linkMu, with lifeMu under it, is never held together with a room's lock.
package redisbroker
