// Package traffic is what a deployment must bear: clients on WebSockets and
// clients that poll, through whatever address users have, and a publisher for
// every room, while instances are restarted, scaled, moved and killed. Every
// client resumes where it was, and everything that it gets is checked: no
// acknowledged message is missing, none stands elsewhere or holds something
// else, and nothing is said to be lost.
//
// It knows nothing of where the gateway runs. Tests of the balancer, of Compose
// and of Kubernetes use it; the command in test/deploy/drive does for scripts.
package traffic
