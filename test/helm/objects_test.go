package helm

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// manifest is what is looked at of an object that the chart renders.
type manifest struct {
	Kind     string
	Metadata struct {
		Name        string
		Labels      map[string]string
		Annotations map[string]string
	}
	Data, StringData map[string]string
	Spec             json.RawMessage
}

// selector is by labels.
type selector struct{ MatchLabels map[string]string }

func (s selector) matches(labels map[string]string) bool {
	if len(s.MatchLabels) == 0 {
		return false
	}
	for name, value := range s.MatchLabels {
		if labels[name] != value {
			return false
		}
	}
	return true
}

// named is a reference to a ConfigMap or Secret.
type named struct {
	Name     string
	Optional bool
}

type probe struct {
	HTTPGet *struct{ Path, Port string }
}

type container struct {
	Name, Image string
	Args        []string
	Ports       []struct {
		Name          string
		ContainerPort int
	}
	EnvFrom []struct{ ConfigMapRef, SecretRef *named }
	Env     []struct {
		Name, Value string
		ValueFrom   *struct {
			SecretKeyRef *struct{ Name, Key string }
			FieldRef     *struct{ FieldPath string }
		}
	}
	Lifecycle struct {
		PreStop *struct{ Sleep struct{ Seconds int } }
	}
	StartupProbe, LivenessProbe, ReadinessProbe probe
	SecurityContext                             struct {
		AllowPrivilegeEscalation *bool
		ReadOnlyRootFilesystem   bool
		Capabilities             struct{ Drop []string }
	}
	VolumeMounts []struct{ Name, MountPath string }
}

type pod struct {
	ServiceAccountName            string
	AutomountServiceAccountToken  *bool
	TerminationGracePeriodSeconds int
	SecurityContext               struct {
		RunAsNonRoot   bool
		RunAsUser      int
		SeccompProfile struct{ Type string }
	}
	Containers []container
	Volumes    []struct {
		Name      string
		ConfigMap *named
		Secret    *struct{ SecretName string }
	}
	TopologySpreadConstraints []struct{ LabelSelector selector }
}

// template is the pod of a Deployment or StatefulSet.
type template struct {
	Metadata struct{ Labels map[string]string }
	Spec     pod
}

type workload struct {
	Replicas *int
	Strategy struct {
		RollingUpdate struct{ MaxUnavailable any }
	}
	Selector selector
	Template template
}

// rendering is all that one set of values makes.
type rendering struct {
	t   *testing.T
	all []manifest
	raw string
}

func parse(t *testing.T, raw string) rendering {
	t.Helper()
	r := rendering{t: t, raw: raw}
	d := yaml.NewDecoder(strings.NewReader(raw))
	for {
		var doc any
		err := d.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return r
		}
		if err != nil {
			t.Fatal(err)
		}
		if doc == nil {
			continue
		}
		// By way of JSON, whose names of fields do not count their case.
		text, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		var m manifest
		if err := json.Unmarshal(text, &m); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		r.all = append(r.all, m)
	}
}

// kind lists the objects of a kind.
func (r rendering) kind(kind string) []manifest {
	var out []manifest
	for _, m := range r.all {
		if m.Kind == kind {
			out = append(out, m)
		}
	}
	return out
}

func (r rendering) find(kind, name string) (manifest, bool) {
	for _, m := range r.kind(kind) {
		if m.Metadata.Name == name {
			return m, true
		}
	}
	return manifest{}, false
}

// spec reads the specification of an object.
func spec[T any](t *testing.T, m manifest) T {
	t.Helper()
	var out T
	if err := json.Unmarshal(m.Spec, &out); err != nil {
		t.Fatalf("%s %s: %v", m.Kind, m.Metadata.Name, err)
	}
	return out
}

// gateway is the Deployment.
func (r rendering) gateway() workload {
	r.t.Helper()
	all := r.kind("Deployment")
	if len(all) != 1 {
		r.t.Fatalf("%d Deployments", len(all))
	}
	return spec[workload](r.t, all[0])
}

// pods are all pods that there will be, by the name of what makes them.
func (r rendering) pods() map[string]template {
	out := map[string]template{}
	for _, kind := range []string{"Deployment", "StatefulSet"} {
		for _, m := range r.kind(kind) {
			out[m.Metadata.Name] = spec[workload](r.t, m).Template
		}
	}
	for _, m := range r.kind("Pod") {
		var p template
		p.Metadata.Labels = m.Metadata.Labels
		p.Spec = spec[pod](r.t, m)
		out[m.Metadata.Name] = p
	}
	return out
}
