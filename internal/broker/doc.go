// Package broker says what the gateway expects of the thing that orders,
// stores and spreads publications. One room is one total order. Package
// membroker keeps rooms in the memory of one instance, package redisbroker in a
// Redis that several share. Package brokertest is the suite that both pass.
//
// Publications flow to the Sink given at construction: in order within a
// room, one call at a time per room, and never two versions of one offset
// without a Gap between them.
package broker
