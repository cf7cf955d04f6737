// Package health answers whether the process lives and whether it wants
// traffic (the plan's HealthService).
//
// Live means the process can answer at all: it says so until it ends, also
// during a drain, for a restart would help nobody. Ready means that every
// check passes; it turns false at the very beginning of a drain. Answers name
// the checks and whether they pass, never why: the public port serves them.
package health
