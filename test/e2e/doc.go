// Package e2e tests the gateway from outside: it builds the program, starts it
// as a process with an environment of its own, and talks to it as its users do,
// through its exit codes, its ports, and the page in a real browser.
//
// The browser is a headless Chromium that must be installed; without it the
// tests of the page fail and say how to install it. Every process that a test
// starts ends with the test.
package e2e
