// Package modules wires the gateway's parts into one fx application. App is
// the only place where an implementation is chosen by configuration; each
// service has a module of its own, which names, provides and appends lifecycle
// hooks, and knows no other module.
//
// Values that modules hand to each other through groups:
//
//	routes   server.Route                  what is served over HTTP
//	checks   health.Check                  conditions of health
//	reloads  reload.Source                 what is read again when its files change
//	runners  func(context.Context)         what runs from start to stop
//
// The gateway's services, by name, and the packages that are them:
//
//	ConnectionManager   hub        who is connected
//	MessageRouter       router     requests to handlers, messages to clients
//	AuthService         auth       credentials to identities
//	LoadBalancer        cluster    instances and how connections are spread
//	PrometheusMetrics   metrics    what happens, for Prometheus
//	HealthService       health     liveness and readiness
//	RedisManager        redisconn  connections to Redis
//	ErrorHandler        fault      what errors mean, circuit breakers
//	PerformanceMonitor  monitor    how long operations take
//
// Every stop hook has a budget of its own, and config.Config.StopTime is more
// than all of them together, since fx skips the hooks that are left once its
// context has ended.
package modules
