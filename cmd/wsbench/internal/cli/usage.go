//go:build linux

package cli

const usage = `wsbench measures a ws-gateway with very many connections from one process.

  wsbench idle     what idle connections cost: memory, CPU, goroutines, disconnects
  wsbench fanout   one publication to many members; every delivery received and checked
  wsbench publish  many clients publish, acknowledged and not, to subscribers of their own
  wsbench echo     request and reply, or a route and its service: latency and throughput
  wsbench mixed    rooms that share members, publications at a rate
  wsbench churn    mixed, while connections come and go and members leave and join
  wsbench soak     mixed with churn for long, with a look for leaks
  wsbench slow     a valid message in small pieces on every connection at once
  wsbench storm    connections that come back and resume, while a server is killed
                   or servers hand connections off
  wsbench drain    hold connections while the server drains, and judge how it lets go

  wsbench million  1,000,000 connections, or -n, on this machine: it starts a Redis, gateways
                   and workers, and ends them
  wsbench report   RESULT.json: the HTML report of a result that -json wrote
  wsbench compare  A.json B.json: the figures of two results, and their ratios

wsbench SCENARIO -h lists the flags. Examples:

  # 15,000 idle connections, memory per connection, beside a naive server
  wsbench idle -n 15000 -settle 60s -pid $(pgrep -x gateway) -metrics http://127.0.0.1:9007/metrics -compare-naive

  # as fast as back-pressure allows, beside a server that only writes
  wsbench fanout -members 1000 -size 100 -pid $(pgrep -x gateway) -baseline writev

  # 100 publications a second to 1,000 members; latency from the intended time
  wsbench fanout -members 1000 -rate 100 -json fanout.json -html fanout.html

  # 5,000 requests a second at intended times
  wsbench echo -n 1000 -rate 5000

  # 100,000 messages a second from 100 clients, to one subscriber each
  wsbench publish -n 200 -rate 100000 -pipeline 16 -threads 2 -pid $(pgrep -x gateway)

  # through a route of the policy to a service that answers with what it got, in a terminal of its own;
  # routes: [{match: "bench:*", send: anyone, http: {url: "http://127.0.0.1:3399/"}}]
  wsbench upstream-server -listen 127.0.0.1:3399
  wsbench echo -mode route -n 50

  # the same load by Socket.IO clients; an hour's look for leaks
  wsbench mixed -protocol socketio -n 5000 -rooms 200 -memberships 5 -rate 1000
  wsbench soak -duration 1h -pid $(pgrep -x gateway) -metrics http://127.0.0.1:9007/metrics -admin-key KEY

  # what 10,000 clients see of a SIGTERM while rooms are being published to
  wsbench drain -n 10000 -publish-rate 500 -pid $(pgrep -x gateway) -sigterm

  # three instances: one is killed; 10,000 clients resume on the others
  wsbench storm -n 10000 -url ws://127.0.0.1:3007/ws,ws://127.0.0.1:3008/ws,ws://127.0.0.1:3009/ws -victim PID

  # an auth service that takes every token for a user id, and counts calls
  wsbench auth-server -delay 20ms   (GET /stats tells calls and the most at once)

Connections use the user ids bench-000000 and following as credentials, as a
gateway in development takes them, or those of -tokens FILE, one a line. Only
loopback targets unless -allow-remote.
Exit code: 0 all checks hold, 1 one failed, 2 bad flags. SIGINT stops and
reports what there is.
`
