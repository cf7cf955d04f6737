// Package jsonscan reads JSON (RFC 8259) without building values: it walks the
// fields of one object and leaves every value as raw bytes. It exists because
// the message path must decode only the envelope, and because encoding/json
// folds the case of keys and lets the last of two equal keys win, which lets
// two readers see two messages in one. Nothing here allocates, except the
// unquoting of strings with escapes. Nesting is bounded.
package jsonscan
