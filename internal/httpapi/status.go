package httpapi

import (
	"time"

	"github.com/moonx-farm/ws-gateway/internal/cluster"
	"github.com/moonx-farm/ws-gateway/internal/fleet"
)

// counts handles GET /counts.
func (a *API) counts(r *request) (any, error) {
	if err := r.query(nil); err != nil {
		return nil, err
	}
	c := a.parts.Directory.Census(r.Context())
	return struct {
		Connections int      `json:"connections"`
		Users       int      `json:"users"`
		Rooms       int      `json:"rooms"`
		Memberships int      `json:"memberships"`
		Missing     []string `json:"missing,omitempty"`
	}{c.Connections, c.Users, c.Rooms, c.Memberships, c.Missing}, nil
}

// instance is one gateway process.
type instance struct {
	Instance    string        `json:"instance"`
	Version     string        `json:"version"`
	State       cluster.State `json:"state"`
	Ready       bool          `json:"ready"`
	Zone        string        `json:"zone,omitempty"`
	URL         string        `json:"url,omitempty"`
	Address     string        `json:"address,omitempty"`
	Connections int           `json:"connections"`
	Capacity    int           `json:"capacity"`
	CPU         float64       `json:"cpu"`
	Memory      int64         `json:"memory"`
	MemoryLimit int64         `json:"memoryLimit,omitempty"`
	StartedAt   int64         `json:"startedAt"` // Unix milliseconds
	HeardMS     int64         `json:"heardMs"`   // since it last told of itself
}

func instanceOf(i cluster.Instance) instance {
	return instance{
		Instance: i.ID, Version: i.Version, State: i.State, Ready: i.State == cluster.Ready,
		Zone: i.Zone, URL: i.URL, Address: i.Address, Connections: i.Connections, Capacity: i.Capacity,
		CPU: i.CPU, Memory: i.Memory, MemoryLimit: i.MemoryLimit,
		StartedAt: i.Started.UnixMilli(), HeardMS: max(0, time.Since(i.Heartbeat).Milliseconds()),
	}
}

// instances handles GET /instances.
func (a *API) instances(r *request) (any, error) {
	if err := r.query(nil); err != nil {
		return nil, err
	}
	all := a.parts.Instances.Instances()
	out := make([]instance, 0, len(all))
	for _, i := range all {
		out = append(out, instanceOf(i))
	}
	return struct {
		Instances []instance `json:"instances"`
	}{out}, nil
}

// statistics handles GET /statistics.
func (a *API) statistics(r *request) (any, error) {
	if err := r.query(nil); err != nil {
		return nil, err
	}
	all := a.parts.Instances.Statistics(r.Context())
	return struct {
		Instances []fleet.Statistics `json:"instances"`
		Missing   []string           `json:"missing,omitempty"`
	}{all.Instances, all.Missing}, nil
}

// rebalance is how it stands with handing connections off.
type rebalance struct {
	Enabled   bool     `json:"enabled"`
	Active    []string `json:"active"`
	Remaining int      `json:"remaining"`
	HandedOff int64    `json:"handedOff"`
}

// loadBalancer handles GET /load-balancer.
func (a *API) loadBalancer(r *request) (any, error) {
	if err := r.query(nil); err != nil {
		return nil, err
	}
	b := a.parts.Instances.Balance(r.Context())
	ready, full, draining := b.States[cluster.Ready], b.States[cluster.Full], b.States[cluster.Draining]
	return struct {
		Instances   int       `json:"instances"`
		Ready       int       `json:"ready"`
		Full        int       `json:"full"`
		Draining    int       `json:"draining"`
		Connections int       `json:"connections"`
		Capacity    int       `json:"capacity"`
		Load        float64   `json:"load"`
		Mean        float64   `json:"mean"`
		Spread      float64   `json:"spread"`
		Optimal     string    `json:"optimal,omitempty"`
		Rebalance   rebalance `json:"rebalance"`
		Missing     []string  `json:"missing,omitempty"`
	}{
		ready + full + draining, ready, full, draining, b.Connections, b.Capacity, b.Load, b.Mean, b.Spread, b.Optimal,
		rebalance(b.Rebalance), b.Missing,
	}, nil
}

// maxInstanceID is the longest string that is looked up as an instance's name.
const maxInstanceID = 128

// drain handles POST /drain {instance}.
func (a *API) drain(r *request) (any, error) {
	var name string
	err := r.object(fields{"instance": text("instance", maxInstanceID, &name)})
	switch {
	case err != nil:
		return nil, err
	case name == "":
		return nil, errInstance
	}
	n, err := a.parts.Instances.Drain(r.Context(), name)
	if err != nil {
		return nil, err
	}
	return struct {
		Instance string `json:"instance"`
		Draining int    `json:"draining"`
	}{name, n}, nil
}
