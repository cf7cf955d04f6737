// Package cluster makes several gateways one fleet: it is the gateway's
// LoadBalancer.
//
// The Registry tells the others, through Redis, that this instance lives and
// what it carries, and knows the same of them. The Bus asks the other instances
// something and collects their answers. Optimal picks the instance that a
// client should connect to, and Connect answers clients with it. The Balancer
// hands connections off when this instance carries more than its share.
// Revocations keeps who is refused where every instance finds it.
//
// Without Redis the same types know one instance: this.
//
// An incarnation is one run of a gateway process. It is made at random at each
// start, so that a process that was restarted under the same INSTANCE_ID is
// another one to the fleet.
//
// Locks: Registry.mu, Bus.mu and window.mu are leaves: nothing is called with
// one of them held.
package cluster
