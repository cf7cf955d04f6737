// Wsbench measures a ws-gateway: it holds very many connections from one
// process and reports what they cost the server, how fast messages arrive, and
// whether every one did.
//
//	go run ./cmd/wsbench idle -n 15000 -settle 60s -pid PID -compare-naive
//	go run ./cmd/wsbench fanout -members 1000 -size 100 -pid PID -baseline writev
//	go run ./cmd/wsbench echo -n 1000 -rate 5000
//	go run ./cmd/wsbench slow -n 15000
//	go run ./cmd/wsbench drain -n 10000 -publish-rate 500 -pid PID -sigterm
//
// While it runs, one line a second shows the phase, connections, rates, p99 and
// the server's memory and CPU. At the end it prints a table, and with -json
// every figure with its unit, the parameters and the versions. It exits with 1
// when a check failed: a lost, doubled or reordered message, a disconnect.
//
// # How it counts
//
// A delivery counts when the client has received it and compared it, byte by
// byte, with what the room's members must get at this offset, and its
// publisher's sequence rose by one at this member. In a closed loop (no -rate)
// a bounded number of publications is under way. With -rate, publications and
// requests have intended times and latency is measured from them, whether or
// not they could be sent then; so a stall counts against everything it held up
// (coordinated omission). Percentiles are within 1 %.
//
// # How it is built
//
//	cli       flags, usage, signals, exit codes
//	bench     the scenarios and what their connections do
//	engine    connections on epoll, one goroutine per loop
//	frame     RFC 6455 frames and the opening handshake, client side
//	gwproto   gateway.v1: a scanner without allocation, and requests
//	check     what a numbered stream lost, doubled or reordered
//	hdr       the latency histogram
//	proc      memory, CPU, descriptors, admin endpoints, helper processes
//	report    progress line, table, JSON
//	standin   the naive server: coder/websocket as its documentation shows it
//	baseline  a server that only writes: the yardstick of fanout
//
// The helper servers are this program itself, started as "naive-server" and
// "writev-server", and they end with it. Linux only.
package main
