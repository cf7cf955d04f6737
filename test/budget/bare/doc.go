// Command bare is what the handshakes of the gateway are measured beside:
// net/http and websocket.Accept as documented, a goroutine per connection, and
// nothing else. It prints its address and serves until its stdin ends.
package main
