// Package baseline is a bare server: it answers the opening handshake and one
// join, and then only writes. Frames are encoded once, and 32 of them (or as told) share a
// writev to each connection, non-blocking. It knows no sessions, rooms, queues
// or acknowledgements: what it reaches is what this machine's kernel and
// wsbench's own client allow, the yardstick for the gateway's fan-out.
package baseline
