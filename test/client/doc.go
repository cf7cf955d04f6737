// Package client shows that the client which the gateway serves at /client.js
// keeps what it promises: on real gateways, in Node.js and in Chromium, while
// tokens run out, gateways drain and are killed, and the network is cut, silent
// or closed. The longest of its tests is the delivery contract itself: every
// acknowledged message is observed exactly once, in order, by every client.
//
// Scripts of testdata/node do the client's part and have the test do the rest,
// line by line. GATEWAY_LONG=1 runs 100 faults and 1,000 messages instead of a
// sample; CLIENT_SEED repeats a run in kind.
package client
