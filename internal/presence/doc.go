// Package presence is the directory of the fleet: which users are in which
// rooms, how many connections a room and a user have, on every instance.
//
// # What is in Redis
//
// Each instance writes down what it has, under keys with its incarnation as
// their tag: the users of its rooms, the connections of its rooms and users, a
// summary. They expire with the instance, a while later than it is given up, so
// that a survivor can tell who was there. Readers ask for the keys of the
// instances that live, and for no instance: listing costs at most the limit for
// each of them.
//
// What is written are states, not steps: a lost or repeated write is repaired by
// the next. Changes wait in a bounded Directory.changes, one for each member, room or
// user, and one goroutine writes them, many in one script. When they are too
// many, or Redis may have lost something, everything is written anew from the
// hub, and what should not be there is swept out.
//
// # Who is told
//
// A user who enters a room is news when no other instance has them there, and
// one who leaves when no other has them any more. The writer therefore looks at
// the others after it has written. If two have written at the same time both
// see each other, and Redis's time of the writes, then the incarnation, says
// which one tells; see decide. It tells through the broker, to all instances
// with members of the room.
//
// # Users and their limit
//
// The connections of a user are counted in the same way, and a question about
// them is answered with the write that holds the asker's own.
//
// # Redis away
//
// Nothing waits for it: readers get what is here, with an error, members of
// this instance are told of its own users, and the rest is made up for later.
//
// # Locks
//
// Directory.mu, and reads.mu, are leaves but for the wheel: the hub calls with
// a room's lock held. Nobody calls the hub or the limiter with one of them held.
package presence
