// Package testbed builds the gateway and runs it as tests need it: it is built
// as the test itself, ends with the test's process, and is listened to. It is
// for tests alone.
package testbed
