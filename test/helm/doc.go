// Package helm holds the chart in helm/ws-gateway against the real helm, the
// schemas of Kubernetes, of the Gateway API and of the Prometheus operator, and
// against the gateway itself: the environment that the chart renders is loaded as
// the gateway would load it, and what the chart probes and scrapes is asked of a
// gateway that runs.
//
// The tools and schemas come through the Go module proxy (.ci/tools).
package helm
