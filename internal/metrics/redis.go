package metrics

import (
	"github.com/moonx-farm/ws-gateway/internal/broker/redisbroker"
	"github.com/moonx-farm/ws-gateway/internal/cluster"
	"github.com/moonx-farm/ws-gateway/internal/redisconn"
)

// Redis registers the metrics of the connections to Redis.
func (r *Registry) Redis(stats func() redisconn.Stats) {
	c := &Collector{}
	c.gauge("redis_shards", "Masters of Redis that are known.")
	c.gauge("redis_shards_up", "Masters of Redis that answer.")
	c.gauge("redis_replicas", "Replicas connected to the master that has fewest.")
	c.gauge("redis_latency_seconds", "Time of the last look at the slowest master.")
	c.gauge("redis_connections", "Connections for commands.")
	c.gauge("redis_connections_idle", "Connections for commands that wait for one.")
	c.counter("redis_losses_total", "Times a master was found away.")
	c.counter("redis_reconnects_total", "Times the connection that watches a master was made again.")
	c.counter("redis_replication_changes_total", "Times the continuity of a master's data was in doubt, and verified.")
	c.counter("redis_topology_changes_total", "Times slots or masters moved.")
	c.counter("redis_pool_timeouts_total", "Commands that found no connection in time.")
	c.read = func(set func(float64)) {
		s := stats()
		for _, v := range []int{s.Shards, s.Up, s.Replicas} {
			set(float64(v))
		}
		set(s.Latency.Seconds())
		set(float64(s.Connections))
		set(float64(s.Idle))
		for _, v := range []uint64{s.Losses, s.Reconnects, s.ReplicationChanges, s.TopologyChanges, s.PoolTimeouts} {
			set(float64(v))
		}
	}
	r.reg.MustRegister(c)
}

// RedisBroker registers the metrics of the broker on Redis. What the embedded
// broker counts too has the same name.
func (r *Registry) RedisBroker(stats func() redisbroker.Stats) {
	c := &Collector{}
	c.gauge("broker_rooms", "Rooms that this instance is subscribed to, or has something to hand over for.")
	c.gauge("broker_live_rooms", "Rooms whose subscription Redis has confirmed.")
	c.gauge("broker_behind_rooms", "Rooms whose log is being read to close a hole.")
	c.gauge("broker_busy_rooms", "Rooms with something to hand over.")
	c.gauge("broker_handoff_bytes", "What waits for delivery.")
	c.gauge("broker_requests_waiting", "Requests that wait to be sent to Redis.")
	c.counter("broker_published_total", "Publications taken.")
	c.counter("broker_repeated_total", "Publishes recognised as repeats.")
	c.counter("broker_conflicts_total", "Idempotency keys used with other content.")
	c.counter("broker_retries_total", "Requests to Redis sent a second time.")
	c.counter("broker_unavailable_total", "Requests that were answered by unavailable.")
	c.counter("broker_batches_total", "Pipelines sent.")
	c.counter("broker_commands_total", "Commands in pipelines.")
	c.counter("broker_replica_waits_total", "Pipelines that waited for replicas.")
	c.counter("broker_unreplicated_total", "Publishes that too few replicas had in time.")
	c.counter("broker_epochs_ended_total", "Epochs that verification has ended.")
	c.counter("broker_handoff_waits_total", "Times a publish found a full hand-off.")
	c.counter("broker_delivered_total", "Publications handed over.")
	c.counter("broker_gaps_total", "Holes that members were told of.")
	c.counter("broker_holes_total", "Times something was missing or did not follow.")
	c.counter("broker_refills_total", "Pages of logs read to close holes.")
	c.counter("broker_refilled_total", "Publications that came from there.")
	c.counter("broker_overflows_total", "Publications that found no space in the hand-off.")
	c.counter("broker_verified_total", "Positions verified.")
	c.counter("broker_unheld_total", "Positions that the log does not go on from.")
	c.counter("broker_subscription_reconnects_total", "Subscription connections lost.")
	c.counter("broker_subscription_commands_total", "Commands that subscribe or unsubscribe.")
	c.counter("broker_subscription_channels_total", "Channels in these commands.")
	c.counter("broker_malformed_total", "Messages of channels that could not be read.")
	c.counter("broker_notices_total", "Notices of instances received.")
	c.read = func(set func(float64)) {
		s := stats()
		for _, v := range []int{s.Rooms, s.Live, s.Behind, s.Busy} {
			set(float64(v))
		}
		set(float64(s.HandoffBytes))
		set(float64(s.Log.Waiting))
		for _, v := range []uint64{
			s.Log.Published, s.Log.Repeated, s.Log.Conflicts, s.Log.Retries, s.Log.Unavailable, s.Log.Batches, s.Log.Commands,
			s.Log.Waits, s.Log.Unreplicated, s.Log.EpochsEnded, s.Waits, s.Delivered, s.Gaps, s.Holes, s.Refills, s.Refilled,
			s.Overflows, s.Verified, s.Unheld, s.Reconnects, s.Commands, s.Subscriptions, s.Malformed, s.Notices,
		} {
			set(float64(v))
		}
	}
	r.reg.MustRegister(c)
}

// Cluster registers the metrics of the fleet, as this instance sees it.
func (r *Registry) Cluster(instances func() cluster.Stats, bus func() cluster.BusStats, balance func() cluster.RebalanceStatus) {
	states := []cluster.State{cluster.Ready, cluster.Full, cluster.Draining}
	names := make([]string, 0, len(states))
	for _, s := range states {
		names = append(names, string(s))
	}
	c := &Collector{}
	c.gauges("instances", "Instances of the fleet, by state.", "state", names...)
	c.counter("instance_heartbeats_total", "Heartbeats.")
	c.counter("instance_heartbeat_failures_total", "Heartbeats that Redis has not taken.")
	c.counter("instances_gone_total", "Instances that have left or were not heard of any more.")
	c.counter("fleet_questions_total", "Questions to all other instances.")
	c.counter("fleet_answers_missing_total", "Answers that did not come in time.")
	c.counter("fleet_questions_handled_total", "Questions of other instances.")
	c.counter("fleet_messages_dropped_total", "Messages of the fleet for which there was no room.")
	c.counter("rebalanced_connections_total", "Connections handed off to instances that carry less.")
	c.gauge("rebalance_remaining", "Connections that are still to be handed off.")
	c.read = func(set func(float64)) {
		s, b, h := instances(), bus(), balance()
		for _, state := range states {
			set(float64(s.Instances[state]))
		}
		for _, v := range []int64{
			s.Beats, s.Failures, s.Gone, b.Asked, b.Missing, b.Handled, b.Dropped, h.HandedOff, int64(h.Remaining),
		} {
			set(float64(v))
		}
	}
	r.reg.MustRegister(c)
}
