// Package check keeps the history of a chaos run and tells what in it breaks
// the delivery contract. It knows neither gateways nor Redis: it judges what
// publishers, subscribers and the nemesis wrote down, so its own tests are
// histories made by hand, each with one violation.
//
// # What is judged
//
// A message has a key of its own. An entry is a message at a place of a room's
// log: offset and nonce; the nonce is made for the message, so the pair names
// the same one in all epochs. The nemesis ends the log with a Break, a flush or the
// promotion of a replica that had been cut off, and writes down what the log
// held just before and what the new one began with. Between breaks nothing may
// vanish, crashes or not.
//
//   - An acknowledged message is in the log of its time, and stays there up to
//     the next break. In a room that is replicated it is among what a promotion
//     leaves.
//   - A key stands once in a log and once in an epoch.
//   - A subscriber sees offsets that rise by one, from one signal (room_joined,
//     gap) to the next, and repeats only as exact copies.
//   - In an epoch, an entry has one predecessor, the same for all subscribers
//     and in the log. So nobody goes on across an entry that was replaced without being
//     told, even when the offsets rise by one. Only where a promotion made it
//     otherwise, and ended the epoch with it, may they differ.
//   - A content is what was published under the key.
//   - Nobody is refused a resume, or told of a gap, without a cause: a break
//     since the position was handed out, or a history too short for it.
//   - A room has at most one epoch more than there were breaks.
//   - In the end, everybody stands at the top of every room.
package check
