// Package artefacts holds what is deployed against the code: the metrics that
// alerts and dashboard name are those of a running gateway, and Compose, the
// balancer and the image say nothing that the configuration does not know.
package artefacts
