// Gateway serves the WebSocket gateway.
//
//	gateway               serve; settings come from the environment
//	gateway config        print the effective settings, secrets masked
//	gateway healthcheck   exit 0 if the gateway of these settings is ready, else 1
//	gateway probe URL     open a WebSocket at URL as a client does; exit 0 if it answers
//	gateway version       print the version
//
// Exit codes: 0 after an ordered stop, 1 when it could not serve, 2 when the
// settings or arguments are wrong; every fault of the settings is then on
// stderr, and no port was opened. SIGINT and SIGTERM drain; a second one ends
// the process at once. SIGHUP reads policy, keys and certificates again, unless
// the log goes to a terminal: there it says that the terminal is gone, and ends
// the process like the others.
package main
