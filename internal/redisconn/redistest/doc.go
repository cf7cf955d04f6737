// Package redistest starts real Redis servers for tests: single ones, replicas,
// clusters and Sentinels. They listen on 127.0.0.1, keep their files in the
// test's own directory, and end with the test, or with its process.
//
// A machine without redis-server fails the test: the Redis parts of the gateway
// are not shown to work without it.
package redistest
