// Package gateway admits connections: drain state, capacity, memory, host,
// encryption, origin, address and credentials, in this order, before it
// upgrades a request and starts a session on it. It also leads the drain at
// shutdown.
//
// Whose address a request has is decided here alone (proxies): the peer's,
// unless a trusted proxy says another. What an address, a user and a
// connection may take is counted by package limit.
//
// What a browser can learn only over the WebSocket itself (a credential that
// was not accepted) is told there: the request is upgraded, the client gets an
// error event and the close code that fits. Everything else is refused with an
// HTTP status and a sentence.
//
// Nothing of a request's URL or headers is ever logged: they may carry tokens.
package gateway
