// Wsbench measures a ws-gateway: it holds very many connections from one
// process, or from several (-workers), and reports what they cost the server,
// how fast messages arrive, and whether every one did.
//
//	go run ./cmd/wsbench idle -n 15000 -settle 60s -pid PID -compare-naive
//	go run ./cmd/wsbench fanout -members 1000 -size 100 -pid PID -baseline writev
//	go run ./cmd/wsbench publish -n 200 -rate 100000 -pipeline 16
//	go run ./cmd/wsbench echo -n 1000 -rate 5000
//	go run ./cmd/wsbench mixed -n 5000 -rooms 200 -memberships 5 -rate 1000
//	go run ./cmd/wsbench churn -protocol socketio
//	go run ./cmd/wsbench soak -duration 1h -pid PID -metrics URL
//	go run ./cmd/wsbench slow -n 15000
//	go run ./cmd/wsbench drain -n 10000 -publish-rate 500 -pid PID -sigterm
//	go run ./cmd/wsbench million -n 200000 -gateway bin/gateway
//
// While it runs, a few lines that redraw themselves show the phase, connections,
// rates, percentiles and the server's memory and CPU (by -pid, or from its
// -metrics); without a terminal that is one plain line a second, and NO_COLOR
// leaves the colours out. At the end it prints a table. -json writes every figure
// with its unit, the histograms, a time series, the parameters and the versions;
// -html writes a report with charts, one file without references outside it.
// "report" makes such a report of an old result, "compare" prints the ratios of
// two results. It exits with 1 when a check failed: a lost, doubled or reordered
// message, a disconnect.
//
// # How it counts
//
// A delivery counts when the client has received it and compared it, byte by
// byte, with what the room's members must get at this offset, and its
// publisher's sequence rose by one at this member. In a closed loop (no -rate)
// a bounded number of publications is under way. With -rate, publications and
// requests have intended times and latency is measured from them, whether or
// not they could be sent then; so a stall counts against everything it held up
// (coordinated omission). What the client itself sent late is reported beside
// them. Percentiles are within 1 %.
//
// # How it is built
//
//	cli       flags, usage, signals, exit codes
//	bench     the scenarios and what their connections do
//	engine    connections on epoll, one goroutine per loop
//	frame     RFC 6455 frames and the opening handshake, client side
//	gwproto   gateway.v1: a scanner without allocation, and requests
//	sioproto  the same requests and messages as Socket.IO writes them
//	check     what a numbered stream lost, doubled or reordered
//	hdr       the latency histogram
//	workers   a scenario in several processes: shares, borders, one result
//	million   a Redis, gateways and workers for a million connections
//	proc      memory, CPU, descriptors, admin endpoints, helper processes
//	report    results: table, JSON, time series, merging and comparing
//	live      the view in the terminal
//	chart     ticks, scales and SVG paths of line charts
//	page      the HTML report
//	standin   the naive server: coder/websocket as its documentation shows it
//	baseline  a server that only writes: the yardstick of fanout
//
// The helper servers are this program itself, started as "naive-server" and
// "writev-server", and they end with it. Linux only.
package main
