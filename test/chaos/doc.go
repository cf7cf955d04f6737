// Package chaos runs a fleet of real gateways on a real Redis, with a proxy on
// every link between them, and lets a nemesis kill, stop, cut and flush what it
// can reach, while publishers and subscribers write down what they see. Package
// check then judges that history against the delivery contract.
//
// The fleet is three gateways, and Redis with a replica. Both write their data
// to disk before they answer (appendfsync always), so a crash of Redis is never
// an excuse for a loss; a flush is, and so is the promotion of the replica after
// it had been cut off, but for rooms whose messages are acknowledged only once
// the replica has them.
//
// A run goes in rounds. In each the nemesis acts for a while, several deeds at a
// time; then everything is healed, and within Rules.Service all gateways must be
// ready, every room must take a message, and every subscriber must have got
// everything. One gateway is never killed, so that what it leaks adds up.
//
// The test command has a short run with a few seconds of chaos, and some
// mutants: builds of the gateway with a fault that the run must find. Long runs:
//
//	task chaos                               ten minutes, a random seed, all mutants
//	CHAOS_SEED=1,2,3 CHAOS_TIME=1h task chaos
//
// The seed decides what the nemesis does and who publishes and reads what; the
// processes' timing remains their own, so a seed repeats a run in kind alone.
// With -artifacts the history and the gateways' logs are kept.
package chaos
