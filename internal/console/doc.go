// Package console is the page that the admin port serves at "/" in
// development: connect as a user, join rooms, publish, and see every frame of
// both directions.
//
// The page is plain HTML, CSS and ES modules, embedded and served as they are
// written: there is no build step and nothing is loaded from elsewhere. What
// it must know of this gateway (public port, TLS, path) it fetches from
// /console.json, so the files are the same for everybody and carry an ETag.
// The Content-Security-Policy allows no inline script or style and one
// connection beside the page's own origin: the WebSocket of the public port on
// the host that the page was opened with.
//
// client.js and book.js speak gateway.v1 and know nothing of the page; the other
// modules are the page.
package console
