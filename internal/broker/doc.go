// Package broker says what the gateway expects of the thing that orders,
// stores and spreads publications. One room is one total order. Package
// membroker keeps it in memory on one node; a Redis broker joins it beside.
// Package brokertest is the suite that each must pass.
//
// Publications flow to the Sink given at construction: in order within a
// room, one call at a time per room, and never two versions of one offset
// without a Gap between them.
package broker
