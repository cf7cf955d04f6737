// Orders-redis is a backend that takes orders from a page and tells each
// customer how theirs go on, over Redis in both directions: what customers send
// comes in a stream (a route of the policy), and what is published goes into the
// gateway's command stream. It never calls the gateway, nor is it called.
//
// To run it, with a Redis on this machine:
//
//	REDIS_HOST=localhost POLICY_FILE=test/examples/orders-redis/policy.yaml go run ./cmd/gateway
//	go run ./test/examples/orders-redis
package main
