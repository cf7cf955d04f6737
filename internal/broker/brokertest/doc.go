// Package brokertest is the suite that every broker.Broker must pass: the
// delivery contract, as far as one broker and its Sink can show it.
//
// Run takes a Harness, which starts brokers on a store of their own and says
// what they can do. Most tests ask one question of one room. Two run readers
// and publishers against each other: readers join, leave, fall behind, are cut
// and resume all the time, merging what comes live with History exactly as the
// gateway does. In the first the history is larger than any backlog, and every
// reader must see every publication once and in order; in the second it is
// smaller, and what a reader misses must be refused or announced, never
// silently left out.
//
// The environment variable GATEWAY_LONG=1 makes those two run with 1,000,000
// messages instead of 20,000.
package brokertest
