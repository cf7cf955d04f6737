// Package tracing makes OpenTelemetry traces of connects, publishes and calls
// of upstreams, and sends them to a collector over OTLP. It is the only one, with
// its module, that knows the OpenTelemetry library.
//
// # Off
//
// It is off unless OTEL_TRACES_EXPORTER=otlp. New then returns nil, and every
// method of a nil *Tracer and of the zero Span does nothing and allocates
// nothing: the message path has one comparison with nil more.
//
// # Spans
//
//	GET /ws, GET /socket.io/         server    a connect: admission, authentication, upgrade
//	socket.io connect                server    a CONNECT of a Socket.IO namespace
//	authenticate                     internal  one verification of a token
//	POST /api/v1/…                   server    a request of the server API that changes something
//	process STREAM                   consumer  one attempt of a command of the command stream
//	publish PATTERN                  producer  a publish, whoever publishes
//	route PATTERN                    server    a client's event on its way to a service or a stream
//	POST, GET                        client    one call of an auth service, a route's service, a webhook
//	send STREAM                      producer  an event that is added to a route's stream
//
// Names and attributes are those of the semantic conventions where these have
// one; the gateway's own begin with "ws_gateway.". A room and an event stand in
// them as the pattern of the policy that they match, so that their number is
// bounded and no user is in them. No span holds a token, a user, an address of a
// client, data, or the text of an error: error.type is the code of the wire
// protocol. Connections stand in them by their id.
//
// # Context
//
// The W3C trace context of a backend continues the backend's trace: the headers
// traceparent and tracestate of a request of the server API, and the fields of
// the same names of a command. Services of routes, the auth service and webhooks
// get it as headers, streams of routes as fields. Baggage is neither read nor
// sent. A client's header does not continue its trace, which would let anybody
// decide what is sampled; the connect has a link to it.
//
// # State
//
// Nothing of the library's global state is used or set, so that two gateways in
// one process have each their own. A Tracer is safe for concurrent use; its
// goroutine, which sends, ends with Shutdown. Spans that the collector does not
// take in time are dropped; nobody waits for them.
package tracing
