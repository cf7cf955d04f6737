// Package metrics shows what the gateway does to Prometheus (the gateway's
// PrometheusMetrics): typed collectors on a registry of their own.
//
// The message path counts in plain atomics of the package that owns it; a
// scrape reads those snapshots. Nothing is looked up per message, and no label
// takes a value that a client chooses: labels are error codes, refusal
// reasons, directions and the like, all from fixed tables.
package metrics
