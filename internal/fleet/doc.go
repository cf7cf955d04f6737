// Package fleet is the server API's view of all instances together: it acts on
// connections wherever they are, and says who is connected anywhere.
//
// Every question has a kind and is answered in the same way by each instance,
// for its own connections: this one answers itself, the others are asked over
// the bus, and the answers are put together. With no bus there is nobody else to
// ask, and the answer is this instance's.
//
// # What is not waited for
//
// An instance that does not answer within the bus's time is named in Missing,
// and the answer is that of the others. What only needs counting and listing
// comes from the directory, in which each instance writes down what it has: it
// asks nobody. A connection that no instance has, while one did not answer, is
// not said to be gone: that is Unavailable.
//
// # Revocations
//
// They are done here, written into the ledger, in which every instance looks
// each half second and a new one at its start, and told to the others at once.
// Tokens travel as digests.
//
// # Questions to clients
//
// Ask has the clients of all instances asked, and collects what they say. The
// other instances answer with whom they have asked, and tell of each answer when
// it comes, to the one that collects them. Answers are held up to a number of
// bytes; an answer that is lost between instances is late.
//
// # Goroutines
//
// One for each question that this instance's clients are asked for another, until
// they have answered. Shutdown ends and waits for them. Its answers to others run
// on the bus's.
package fleet
