// Package jsonv1 is the codec of the protocol gateway.v1: one JSON object in
// one text message, {"event","id","data"}. It decodes the envelope alone and
// copies data through untouched. Keys are exact: unknown, repeated or
// differently-cased ones are refused, so that no two readers can see two
// messages in one.
package jsonv1
