// Package client serves the browser client of gateway.v1: /client.js, one ES
// module without dependencies that also runs in Node.js 22 or newer, and
// /client.d.ts, its types. Any page may import it: it holds nothing that is
// not public.
//
// What a client must do so that its user observes every publication once and
// in order stands in client.js; test/client holds it against kills, drains and
// network cuts.
package client
