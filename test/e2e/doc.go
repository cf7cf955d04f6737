// Package e2e tests the gateway from outside: it builds the program, starts it
// as a process with an environment of its own, and talks to it as its users do,
// through its exit codes, its ports, the page in a real browser, and the
// libraries of Socket.IO in Node.js.
//
// Scripts of Node.js are in testdata/node, one for each test: they hold the
// cases, the Go test starts the servers. Their packages are installed by the
// lock file into a folder of the user's cache. Package fixture is the server
// that the cases of the protocols are tried on.
//
// The browser is a headless Chromium that must be installed; without it the
// tests of the page fail and say how to install it. Every process that a test
// starts ends with the test.
package e2e
