package httpapi

// census is what counts and instances tell.
type census struct {
	Connections int `json:"connections"`
	Users       int `json:"users"`
	Rooms       int `json:"rooms"`
	Memberships int `json:"memberships"`
}

// counts handles GET /counts.
func (a *API) counts(r *request) (any, error) {
	if err := r.query(nil); err != nil {
		return nil, err
	}
	return census(a.parts.Directory.Census()), nil
}

// instance is one gateway process.
type instance struct {
	Instance    string `json:"instance"`
	Version     string `json:"version"`
	Connections int    `json:"connections"`
	Capacity    int    `json:"capacity"`
	Ready       bool   `json:"ready"`
}

func (a *API) self(r *request) instance {
	return instance{
		Instance: a.cfg.Instance, Version: a.cfg.Version,
		Connections: a.parts.Directory.Census().Connections, Capacity: a.parts.Admission.Capacity(),
		Ready: a.parts.Admission.Ready(r.Context()) == nil,
	}
}

// instances handles GET /instances. There is one: this.
func (a *API) instances(r *request) (any, error) {
	if err := r.query(nil); err != nil {
		return nil, err
	}
	return struct {
		Instances []instance `json:"instances"`
	}{[]instance{a.self(r)}}, nil
}

// loadBalancer handles GET /load-balancer.
func (a *API) loadBalancer(r *request) (any, error) {
	if err := r.query(nil); err != nil {
		return nil, err
	}
	self := a.self(r)
	out := struct {
		Instances   int     `json:"instances"`
		Ready       int     `json:"ready"`
		Connections int     `json:"connections"`
		Capacity    int     `json:"capacity"` // of the ready ones
		Load        float64 `json:"load"`     // connections per capacity; 1 when there is none
	}{Instances: 1, Connections: self.Connections, Load: 1}
	if self.Ready && self.Capacity > 0 {
		out.Ready, out.Capacity = 1, self.Capacity
		out.Load = float64(self.Connections) / float64(self.Capacity)
	}
	return out, nil
}
