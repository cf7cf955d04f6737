// Package auth turns a credential into an identity (the gateway's AuthService).
//
// There are three Verifiers: Service asks an auth service over HTTP, JWT checks
// signatures itself, Development believes everybody. Rooms asks the auth
// service about rooms. What all have in common: a token is nowhere kept, logged
// or repeated, only its Digest; and what cannot be found out is Unavailable,
// which is neither "invalid" nor "let in".
//
// Service protects the auth service and the gateway from each other. A token
// is asked about once, however many clients present it at the same time
// (flights), and then not again for a short while (cache). Calls at once are
// bounded, answers are bounded in size and time, and each path has a breaker of
// its own. A client that leaves gives up its own wait alone.
//
// Which answers count as failures is chosen so that one client cannot lock out
// the others: a service that limits the failures of an address answers 429, one
// that cannot read a token 400 or even 500. They leave that client without an
// answer and do not open the breaker; no answer, garbage, 502, 503 and 504 do.
package auth
