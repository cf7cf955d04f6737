// Ticker publishes prices far faster than anybody reads, to a room that
// conflates: a member who is slow gets the latest price of every symbol, and is
// told how many were left out. It also serves a page that shows them.
//
//	SEND_QUEUE_BYTES=65536 POLICY_FILE=test/examples/ticker/policy.yaml ADMIN_API_KEYS=development-only-key go run ./cmd/gateway
//	API_KEY=development-only-key go run ./test/examples/ticker
package main
