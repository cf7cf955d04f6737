// Package console is the web page of the admin port: the shell at "/" and its
// views, Try (connect as a user, join rooms, publish, see every frame), Live
// (numbers of the fleet), Look up (users, connections, rooms) and Configuration.
// It is served in development, and elsewhere if CONSOLE_ENABLED says so.
//
// The page is plain HTML, CSS and ES modules, embedded and served as they are
// written: there is no build step and nothing is loaded from elsewhere. What
// stands in the folder assets is served below /console/. What the page must know
// of this gateway (public port, TLS, path) it fetches from /console.json, so the
// files are the same for everybody and carry an ETag. The
// Content-Security-Policy allows no inline script or style and one connection
// beside the page's own origin: the WebSocket of the public port on the host
// that the page was opened with.
//
// Neither page nor files need a key, as they hold nothing that not everybody may
// know. All that is shown of a gateway comes from the server API, with a key
// that the reader gives and that stays in the memory of the tab: see
// assets/api.js. What a view is stands in assets/app.js.
//
// The folder client has the client of gateway.v1 for applications.
package console
