// Package pubsub is a connection to one Redis server that does nothing but
// subscribe and receive: the client library's own subscriptions reconnect and
// resubscribe by themselves, or drop what comes too fast, and hide both.
//
// One goroutine receives, another one writes. Nothing is repeated and nothing
// is reconnected here: after an error the connection is over.
package pubsub
