// Package bridge connects the gateway with backends that do not call it: it
// calls the HTTP services that routes of the policy name, and tells a webhook
// of connections and rooms.
//
// # Calls
//
// An event of a client becomes one POST, and the JSON that the service answers
// becomes the data of the reply. The reply's name is the event's, which is not
// one of the gateway's own, so that a service cannot forge an event. Answers
// are bounded in size and read whole; redirects are not followed. A call is
// repeated once, within its timeout, if nothing had been sent, or if the route
// declares its events idempotent and there was no proper answer.
//
// Each service has a bound of calls at once and a breaker. The breaker counts
// lost connections, time-outs and 502 to 504, and nothing that one event can
// bring about by its content: a client could else take the service from all
// others. What services say in answers of 5xx never reaches a client; of 4xx
// a {code, message} does.
//
// # Webhooks
//
// Events are queued, encoded, in a ring that forgets the oldest, and sent in
// batches by one goroutine, one request at a time: what happened first is told
// first. Each request is repeated, with growing pauses, until it is taken or
// too old. Delivery is at least once for what is not dropped; every request
// says how many events were dropped since the last one that was taken.
//
// # Goroutines and locks
//
// The webhooks' sender, from Start to Shutdown. Upstreams.mu and Webhooks.mu
// are held briefly, never during a request, and nothing else is locked under
// them; the hub and sessions call Webhooks with their locks held.
package bridge
