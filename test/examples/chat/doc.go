// Chat serves the page of a chat room. The page does everything with the client
// that the gateway serves; this program only puts it at an address, as any web
// server would.
//
//	go run ./cmd/gateway
//	go run ./test/examples/chat
package main
