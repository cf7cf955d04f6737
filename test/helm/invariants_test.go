package helm

import (
	"slices"
	"strings"
	"testing"
)

// each renders every file of values.
func each(t *testing.T, check func(t *testing.T, name string, r rendering)) {
	for name, file := range values(t) {
		t.Run(name, func(t *testing.T) {
			out, err := render(t, "-f", file)
			if err != nil {
				t.Fatal(err)
			}
			check(t, name, parse(t, out))
		})
	}
}

func TestSelectorsMatchTheGatewaysPodsAlone(t *testing.T) {
	each(t, func(t *testing.T, name string, r rendering) {
		gateways := r.gateway().Template
		selectors := map[string]selector{"deployment": r.gateway().Selector}
		for _, m := range r.kind("Service") {
			s := spec[struct{ Selector map[string]string }](t, m)
			if !strings.HasSuffix(m.Metadata.Name, "-redis") {
				selectors["service "+m.Metadata.Name] = selector{s.Selector}
			} else if (selector{s.Selector}).matches(gateways.Metadata.Labels) {
				t.Error("the Service of Redis selects gateways")
			}
		}
		for _, m := range append(r.kind("PodDisruptionBudget"), r.kind("PodMonitor")...) {
			selectors[m.Kind] = spec[struct{ Selector selector }](t, m).Selector
		}
		for _, m := range r.kind("NetworkPolicy") {
			if s := spec[struct{ PodSelector selector }](t, m).PodSelector; !strings.HasSuffix(m.Metadata.Name, "-redis") {
				selectors["policy "+m.Metadata.Name] = s
			}
		}
		for _, c := range gateways.Spec.TopologySpreadConstraints {
			selectors["spread"] = c.LabelSelector
		}
		if len(selectors) < 4 {
			t.Errorf("only %d selectors", len(selectors))
		}
		for what, s := range selectors {
			for owner, p := range r.pods() {
				if want := p.Metadata.Labels["app.kubernetes.io/component"] == "gateway"; s.matches(p.Metadata.Labels) != want {
					t.Errorf("%s: selects the pod of %s: %v", what, owner, !want)
				}
			}
		}
		for _, m := range r.kind("ServiceMonitor") {
			s := spec[struct{ Selector selector }](t, m).Selector
			var found []string
			for _, service := range r.kind("Service") {
				if s.matches(service.Metadata.Labels) {
					found = append(found, service.Metadata.Name)
				}
			}
			if len(found) != 1 || !strings.HasSuffix(found[0], "-admin") {
				t.Errorf("the ServiceMonitor selects %v", found)
			}
		}
	})
}

func TestEveryNameThatIsReferredToIsThere(t *testing.T) {
	existing := []string{"more", "most", "redis", "redis-ca", "ws-tls", "ws-gateway-admin", "tokens", "auth"} // of the files of values
	each(t, func(t *testing.T, _ string, r rendering) {
		need := func(kind, name string) {
			if _, ok := r.find(kind, name); !ok && !slices.Contains(existing, name) {
				t.Errorf("the %s %q is nowhere", kind, name)
			}
		}
		for _, p := range r.pods() {
			var volumes []string
			for _, v := range p.Spec.Volumes {
				volumes = append(volumes, v.Name)
				if v.ConfigMap != nil {
					need("ConfigMap", v.ConfigMap.Name)
				}
				if v.Secret != nil {
					need("Secret", v.Secret.SecretName)
				}
			}
			for _, c := range p.Spec.Containers {
				for _, m := range c.VolumeMounts {
					if !slices.Contains(volumes, m.Name) && !strings.Contains(r.raw, "volumeClaimTemplates") {
						t.Errorf("the volume %q is nowhere", m.Name)
					}
				}
				for _, v := range c.Env {
					if v.ValueFrom != nil && v.ValueFrom.SecretKeyRef != nil {
						need("Secret", v.ValueFrom.SecretKeyRef.Name)
					}
				}
				for _, from := range c.EnvFrom {
					if from.SecretRef != nil {
						need("Secret", from.SecretRef.Name)
					}
				}
			}
			if p.Spec.ServiceAccountName != "" {
				need("ServiceAccount", p.Spec.ServiceAccountName)
			}
		}
		for _, m := range r.kind("Service") {
			for _, port := range spec[struct {
				Ports []struct{ TargetPort string }
			}](t, m).Ports {
				found := false
				for _, p := range r.pods() {
					for _, c := range p.Spec.Containers {
						for _, own := range c.Ports {
							found = found || own.Name == port.TargetPort
						}
					}
				}
				if !found {
					t.Errorf("%s: no container has a port %q", m.Metadata.Name, port.TargetPort)
				}
			}
		}
		for _, m := range r.kind("HorizontalPodAutoscaler") {
			need("Deployment", spec[struct{ ScaleTargetRef struct{ Name string } }](t, m).ScaleTargetRef.Name)
			if r.gateway().Replicas != nil {
				t.Error("the Deployment sets replicas beside the autoscaler: each upgrade would undo its work")
			}
		}
	})
}

func TestPodsHaveNoMoreRightsThanTheyNeed(t *testing.T) {
	each(t, func(t *testing.T, _ string, r rendering) {
		for owner, p := range r.pods() {
			s := p.Spec
			if s.AutomountServiceAccountToken == nil || *s.AutomountServiceAccountToken {
				t.Errorf("%s: it has a token", owner)
			}
			if !s.SecurityContext.RunAsNonRoot || s.SecurityContext.RunAsUser == 0 || s.SecurityContext.SeccompProfile.Type != "RuntimeDefault" {
				t.Errorf("%s: %+v", owner, s.SecurityContext)
			}
			c := s.Containers[0] // others are the user's
			if x := c.SecurityContext; x.AllowPrivilegeEscalation == nil || *x.AllowPrivilegeEscalation ||
				!x.ReadOnlyRootFilesystem || !slices.Equal(x.Capabilities.Drop, []string{"ALL"}) {
				t.Errorf("%s: %+v", owner, x)
			}
		}
		if n := r.gateway().Strategy.RollingUpdate.MaxUnavailable; n != 0.0 {
			t.Errorf("a rolling update takes %v pods away before there are others", n)
		}
	})
}

func TestSecretsStandInSecretsAlone(t *testing.T) {
	each(t, func(t *testing.T, name string, r rendering) {
		var secrets []string
		for _, m := range r.kind("Secret") {
			for _, value := range m.StringData {
				secrets = append(secrets, strings.Fields(value)...)
			}
		}
		if name == "everything" && len(secrets) < 4 {
			t.Errorf("only %d secrets", len(secrets))
		}
		for _, doc := range strings.Split(r.raw, "\n---") {
			if strings.Contains(doc, "\nkind: Secret\n") {
				continue
			}
			// A digest is no secret.
			doc = strings.ReplaceAll(doc, "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "")
			for _, secret := range secrets {
				if strings.Contains(doc, secret) {
					t.Errorf("a secret stands in\n%.300s", doc)
				}
			}
		}
	})
}
