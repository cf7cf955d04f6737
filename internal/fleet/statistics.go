package fleet

import (
	"cmp"
	"context"
	"slices"
)

// Statistics are what one instance has counted since its start, and what it
// holds now. Counts never fall while StartedAt is the same, but for Connects,
// which may be off by the connections that end as it is read.
type Statistics struct {
	Instance  string `json:"instance"`
	StartedAt int64  `json:"startedAt"` // Unix milliseconds
	At        int64  `json:"at"`        // when this was read, by the instance's clock, in Unix milliseconds

	Connections int64 `json:"connections"` // now, authenticated or not, as the next two
	Rooms       int64 `json:"rooms"`
	Memberships int64 `json:"memberships"`
	QueueBytes  int64 `json:"queueBytes"` // that wait for clients to take them, now

	Connects    int64            `json:"connects"`
	Disconnects map[string]int64 `json:"disconnects"` // by the name of the close code; those without any are left out
	Messages    int64            `json:"messages"`    // of clients
	Published   int64            `json:"published"`   // publishes of clients and backends that were stored
	Deliveries  int64            `json:"deliveries"`  // publications queued on connections
	BytesIn     int64            `json:"bytesIn"`     // of WebSockets, as the next
	BytesOut    int64            `json:"bytesOut"`
	Errors      map[string]int64 `json:"errors"` // that clients were told, by code; those without any are left out
	Refused     int64            `json:"refused"`

	SlowCuts int64 `json:"slowCuts"` // connections that were cut as they read too slowly
	LeftOut  int64 `json:"leftOut"`  // publications that slow members did not get, by their room's policy
	Gaps     int64 `json:"gaps"`     // holes that the members of a room were told of

	Latencies map[string]Latency `json:"latencies"` // by operation
}

// Latency is how long one operation took since the start.
type Latency struct {
	Count int64 `json:"count"`
	// Buckets are how many took longer than the bound of the one before and not
	// longer than its own, in rising order; empty ones are left out.
	Buckets []Bucket `json:"buckets"`
}

// Bucket is a part of a Latency.
type Bucket struct {
	UpToMS float64 `json:"upToMs"`
	Count  int64   `json:"count"`
}

// AllStatistics are those of the instances that live.
type AllStatistics struct {
	Instances []Statistics // by name
	Missing   []string     // instances that did not answer, by name
}

// statisticsOf is the question for them.
type statisticsOf struct{}

// Statistics asks every instance for what it has counted.
func (f *Fleet) Statistics(ctx context.Context) AllStatistics {
	h := askOthers[Statistics](ctx, f, kindStatistics, statisticsOf{})
	all := append(h.answers, f.statistics(ctx, statisticsOf{}))
	slices.SortFunc(all, func(a, b Statistics) int {
		return cmp.Or(cmp.Compare(a.Instance, b.Instance), cmp.Compare(a.StartedAt, b.StartedAt))
	})
	return AllStatistics{all, h.missing}
}

func (f *Fleet) statistics(context.Context, statisticsOf) Statistics {
	s := Statistics{Disconnects: map[string]int64{}, Errors: map[string]int64{}, Latencies: map[string]Latency{}}
	if f.parts.Statistics != nil {
		s = f.parts.Statistics()
	}
	s.Instance = f.parts.Instance
	return s
}
