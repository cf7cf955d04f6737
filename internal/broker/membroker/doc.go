// Package membroker is the embedded broker: one node, in memory.
package membroker
