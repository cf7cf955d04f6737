// Package gwproto speaks gateway.v1 from the client's side, as cheaply as a
// load generator must: Scan takes a message's envelope apart without
// allocation or reflection and accepts its keys in any order; the Append
// functions write requests. The server's own words are in internal/wire.
//
// Published data carries a Body: which stream it belongs to, its number
// there, and when it was meant to be sent.
package gwproto
