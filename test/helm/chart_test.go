package helm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEveryRenderingConformsToTheSchemas(t *testing.T) {
	dir := schemas(t)
	for name, file := range values(t) {
		t.Run(name, func(t *testing.T) {
			out, err := render(t, "-f", file)
			if err != nil {
				t.Fatal(err)
			}
			if err := conforms(t, dir, out); err != nil {
				t.Error(err)
			}
		})
	}
	// The schemas would notice.
	out, err := render(t, "-f", filepath.Join(chart, "ci/everything-values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for name, fault := range map[string][2]string{
		"a field of Kubernetes' own kinds":   {"terminationGracePeriodSeconds:", "terminationGracePeriod:"},
		"a type":                             {"maxUnavailable: 0", "maxUnavailable: {}"},
		"an apiVersion":                      {"apiVersion: policy/v1", "apiVersion: policy/v1beta1"},
		"a field of a ServiceMonitor":        {"interval: 30s", "every: 30s"},
		"a field of an HTTPRoute":            {"parentRefs:", "parents:"},
		"a field of a rule for Prometheus":   {"- alert:", "- alarm:"},
		"a quantity that is none":            {"averageUtilization: 70", "averageUtilization: many"},
		"a probe that would not be the last": {"readinessProbe:", "readyProbe:"},
	} {
		bad := strings.Replace(out, fault[0], fault[1], 1)
		if bad == out {
			t.Errorf("%s: %q is not rendered", name, fault[0])
		} else if conforms(t, dir, bad) == nil {
			t.Errorf("%s is not looked at", name)
		}
	}
}

func TestTheChartIsCleanToLint(t *testing.T) {
	for name, file := range values(t) {
		out, said, err := tool(t, nil, "helm", "lint", "--strict", chart, "-f", file)
		if err != nil || strings.Contains(out, "[WARNING]") || strings.Contains(out, "[ERROR]") {
			t.Errorf("%s: %v\n%s%s", name, err, out, said)
		}
	}
	if out, said, err := tool(t, nil, "helm", "lint", "--strict", chart); err != nil {
		t.Errorf("without values: %v\n%s%s", err, out, said)
	}
}

func TestWhatCannotWorkIsRefusedInWords(t *testing.T) {
	const auth = "auth.serviceUrl=http://auth"
	for name, try := range map[string]struct{ set, want string }{
		"no authentication":               {"replicaCount=1", "there is no authentication"},
		"replicas without Redis":          {auth + ",replicaCount=2", "2 replicas without a Redis"},
		"growing without Redis":           {auth + ",autoscaling.enabled=true", "10 replicas without a Redis"},
		"two Redises":                     {auth + ",redis.host=a,redis.bundled.enabled=true", "redis: want one of redis.host, redis.bundled.enabled"},
		"an external Redis of no name":    {auth + ",redis.external=true", "name it in existingSecret"},
		"a database of a Cluster":         {auth + ",redis.cluster.addresses={a:1},redis.database=2", "database 0 alone"},
		"http without a service":          {"auth.mode=http", "auth.mode=http needs auth.serviceUrl"},
		"jwt without a key":               {"auth.mode=jwt", "auth.mode=jwt needs"},
		"two kinds of keys":               {"auth.jwt.jwksUrl=https://a,auth.jwt.existingSecret.name=b", "want one of jwksUrl and a secret"},
		"two authentications":             {auth + ",auth.jwt.jwksUrl=https://a", "want one of serviceUrl and jwt"},
		"development and a service":       {auth + ",auth.mode=development", "asks nobody"},
		"a password given twice":          {auth + ",redis.host=a,redis.password=b,redis.existingSecret.name=c", "redis.password: given twice"},
		"keys given twice":                {auth + ",admin.keys={0123456789abcdef},admin.existingSecret.name=c", "admin.keys: given twice"},
		"two policies":                    {auth + ",policy.version=1,existingPolicy=a", "want one of policy and existingPolicy"},
		"webhooks without a signature":    {auth + ",webhook.url=https://a", "webhook.url needs signing.secrets"},
		"pods without addresses":          {auth + ",perPod.enabled=true", "perPod.enabled needs perPod.url"},
		"an ingress without a host":       {auth + ",ingress.enabled=true", "ingress.enabled needs ingress.hosts"},
		"a route without a gateway":       {auth + ",httpRoute.enabled=true", "httpRoute.enabled needs httpRoute.parentRefs"},
		"scraping twice":                  {auth + ",metrics.serviceMonitor.enabled=true,metrics.podMonitor.enabled=true", "scraped twice"},
		"PROXY protocol from anybody":     {auth + ",proxyProtocol=true", "name the load balancer's addresses"},
		"a scale that goes by nothing":    {auth + ",redis.host=a,autoscaling.enabled=true,autoscaling.targetCPU=null,autoscaling.connections.source=", "autoscaling has nothing to go by"},
		"strict without encryption":       {auth + ",security.level=strict,security.allowedOrigins={https://a.example}", "takes encrypted connections alone"},
		"strict without pages":            {auth + ",security.level=strict,security.trustedProxies={10.0.0.1}", "and there are none"},
		"a scale upside down":             {auth + ",redis.host=a,autoscaling.enabled=true,autoscaling.minReplicas=20", "minReplicas is above"},
		"a setting that there is not":     {auth + ",config.MAX_CONECTIONS=1", "additional properties 'MAX_CONECTIONS' not allowed"},
		"a setting with its own value":    {auth + ",config.DRAIN_WINDOW=1h", "config.DRAIN_WINDOW: the chart sets this one"},
		"a secret in a ConfigMap":         {auth + ",config.REDIS_URL=redis://u:p@h", "config.REDIS_URL is a secret"},
		"a value that is misspelt":        {auth + ",replicas=3", "additional properties 'replicas' not allowed"},
		"a level that there is not":       {auth + ",security.level=high", "/security/level"},
		"an admin key that is too short":  {auth + ",admin.keys={short}", "/admin/keys/0"},
		"a grace that is a word":          {auth + ",drain.windowSeconds=20s", "/drain/windowSeconds"},
		"no replica":                      {auth + ",replicaCount=0", "/replicaCount"},
		"a token secret that is too weak": {"auth.jwt.secret=short", "/auth/jwt/secret"},
	} {
		_, err := render(t, "--set", try.set)
		if err == nil || !strings.Contains(err.Error(), try.want) {
			t.Errorf("%s: want %q, got %v", name, try.want, err)
		}
		if err != nil && strings.Contains(err.Error(), "nil pointer") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRulesAndDashboardAreThoseOfCompose(t *testing.T) {
	for own, source := range map[string]string{
		"alerts.yml":     "prometheus/alerts.yml",
		"dashboard.json": "grafana/dashboard.json",
	} {
		want, err := os.ReadFile(filepath.Join("../../config/deploy", source))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(chart, "files", own))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("helm/ws-gateway/files/%s is not config/deploy/%s: copy it", own, source)
		}
	}
}
