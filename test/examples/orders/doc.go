// Orders is a backend that takes orders from a page and tells each customer how
// theirs go on, over HTTP in both directions: the gateway calls it with what
// customers send (a route of the policy), and it publishes to a customer through
// the server API.
//
//   - route.go takes the gateway's calls, and believes only those it has signed.
//   - publish.go publishes, again until it is done, and once.
//   - shop.go is the shop: its state is in memory, as this is an example.
//
// To run it:
//
//	POLICY_FILE=test/examples/orders/policy.yaml ADMIN_API_KEYS=development-only-key SIGNING_SECRETS=development-only-secret go run ./cmd/gateway
//	API_KEY=development-only-key SIGNING_SECRET=development-only-secret go run ./test/examples/orders
package main
