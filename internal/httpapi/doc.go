// Package httpapi is the server API: backends publish, move connections in and
// out of rooms, end them, and ask who is there. It stands under /api/v1 on the
// admin port, behind the keys of package server.
//
// # Shape
//
// What changes something is a POST with a JSON object; what only looks is a GET.
// JSON is strict, as on the WebSocket: an unknown or repeated field is an error.
// Every refusal is application/problem+json (RFC 9457), whose "code" is that of
// the wire protocol where there is one. Listings are pages: "next" of one is
// "after" of the following.
//
// Routes stand in the table of routes.go and are described in openapi.json,
// which is served as /api/v1/openapi.json. A test asks for every answer that
// the document names, and compares fields and routes of both.
//
// # Publishing
//
// All backends are one publisher: an idempotency key means the same whichever
// key of the API the request came with, so that those can be replaced.
//
// # Questions
//
// POST /ask asks clients and waits for what they say. What came is a 200, also
// when it is nothing: the question was put. It is a problem when nobody could be
// asked.
//
// # Settings
//
// GET /settings is the one answer that is of the instance that was asked, not of
// the fleet. Who makes the settings has masked their secrets.
//
// # Goroutines
//
// None of its own. A request waits at most requestTime, or until its client
// leaves.
package httpapi
