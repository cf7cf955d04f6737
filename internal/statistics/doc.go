// Package statistics reads what this instance has counted, for those who look at
// the whole fleet: the console, and backends through the server API. The counters
// belong to the packages that do the work; this one only adds up what stands in
// several of them, so it costs nothing until somebody asks. What a monitoring
// system wants stands in package metrics.
package statistics
