// Package health answers whether the process lives and whether it wants
// traffic (the gateway's HealthService).
//
// Live means the process can answer at all: it says so until it ends, also
// during a drain, for a restart would help nobody. Ready means that no critical
// check fails; it turns false at the very beginning of a drain. A check that is
// not critical degrades the answer and leaves its status 200: to take a whole
// fleet out of traffic because an outside service is down would only add to
// the outage.
//
// The public port serves these answers, so they hold nothing internal: names
// of checks, words of Reason, and how long a check took. What an error says
// goes into the log.
package health
