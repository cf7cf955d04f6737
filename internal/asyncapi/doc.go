// Package asyncapi serves the description of the protocol gateway.v1 as an
// AsyncAPI 3 document: every message with its fields, examples and reply, the
// error codes, the close codes with what a client should do, the credentials
// and the limits. Any page may read it: it holds nothing that is not public.
//
// asyncapi.json is written by hand. This package's tests hold its vocabulary
// against package wire, both ways; test/documents holds it against AsyncAPI's
// own schema, and test/flow against the frames of a running gateway.
package asyncapi
