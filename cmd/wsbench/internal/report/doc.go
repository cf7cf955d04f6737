// Package report holds what wsbench found: figures with their units, latencies
// with their histograms, checks, a time series, the parameters and the versions.
// Results are plain data: they are written as JSON and as a table, read back,
// compared, and those of several processes are merged. Progress makes the time
// series while a scenario runs and passes each point to a View.
package report
