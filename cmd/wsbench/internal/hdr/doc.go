// Package hdr is a small log-linear histogram for latencies, in the manner of
// HdrHistogram: every power of two is cut into 128 steps, so that a percentile
// is at most 0.8 % off, and recording one value is a handful of instructions
// without allocation. A histogram belongs to one goroutine; merge those of
// several event loops afterwards.
package hdr
