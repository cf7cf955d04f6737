package kubernetes

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// values are of an installation that fits a small machine.
const values = `
replicaCount: 2
image: {repository: ws-gateway, tag: v1, pullPolicy: Never}
auth: {mode: development}
security: {level: minimal}
policy:
  version: 1
  rooms:
    - {match: "**", join: anyone, publish: backend, history: {size: 1000, age: 10m}}
    - {match: "user:*", publish: backend}
admin: {keys: [` + adminKey + `]}
redis:
  bundled:
    enabled: true
    image: redis:test
    resources: {requests: {cpu: 10m, memory: 32Mi}}
drain: {preStopSeconds: 3, delaySeconds: 2, windowSeconds: 5, closeSeconds: 2}
resources: {requests: {cpu: 20m, memory: 64Mi}, limits: {memory: 512Mi}}
minReadySeconds: 2
networkPolicy: {enabled: true}
`

// TestTheChartInACluster is one story, as a cluster takes its time to start.
func TestTheChartInACluster(t *testing.T) {
	c := startCluster(t)
	c.gatewayImage("v1")
	c.gatewayImage("v2")
	c.redisImage("redis:test")
	file := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(file, []byte(values), 0o600); err != nil {
		t.Fatal(err)
	}
	helm := func(verb string, more ...string) {
		t.Helper()
		path, err := filepath.Abs(chart)
		if err != nil {
			t.Fatal(err)
		}
		c.do(append([]string{"helm4", verb, "gw", path, "-f", file, "--wait", "--timeout", "3m"}, more...)...)
	}

	c.acceptsAll()
	helm("install")
	if out := c.do("helm4", "test", "gw"); !strings.Contains(out, "Succeeded") {
		t.Errorf("helm test: %s", out)
	}
	redis := c.do("kubectl", "get", "pod", "gw-ws-gateway-redis-0", "-o", "jsonpath={.metadata.uid}")

	d := c.drives("-sockets", "200", "-pollers", "20")
	on := func(replicas int) {
		t.Helper()
		d.settled()
		running := c.pods()
		if len(running) != replicas {
			t.Fatalf("%v run, want %d", running, replicas)
		}
		t.Logf("%v", d.spread())
	}
	on(2)
	if spread := d.spread(); len(spread) != 2 {
		t.Errorf("all clients are on %v", spread)
	}
	step := func(name string, f func()) {
		t.Helper()
		begun := time.Now()
		f()
		t.Logf("%s: %v", name, time.Since(begun).Round(100*time.Millisecond))
	}

	step("rolling upgrade", func() {
		before := c.pods()
		helm("upgrade", "--set", "image.tag=v2")
		c.gone(before)
		on(2)
		for _, pod := range c.pods() {
			if version := c.do("kubectl", "exec", pod, "-c", "gateway", "--", "/gateway", "version"); version != "gateway v2" {
				t.Errorf("%s is %q", pod, version)
			}
		}
	})
	step("rollback", func() {
		before := c.pods()
		c.do("helm4", "rollback", "gw", "1", "--wait", "--timeout", "3m")
		c.gone(before)
		on(2)
	})
	step("a policy that changes needs no new pod", func() {
		before := c.pods()
		helm("upgrade", "--set", "policy.rooms[0].presence=true")
		on(2)
		if after := c.pods(); !slices.Equal(before, after) {
			t.Errorf("%v became %v", before, after)
		}
	})
	step("scale 2 to 4", func() {
		helm("upgrade", "--set", "replicaCount=4")
		on(4)
	})
	step("scale 4 to 2", func() {
		helm("upgrade")
		c.settle(2)
		on(2)
	})
	// hit does something to the pod that most clients are on, and waits until
	// they are elsewhere.
	hit := func(what func(pod string)) {
		t.Helper()
		pod, instance := busiest(d.spread(), c.pods())
		what(pod)
		d.say("off "+instance, "ok")
		c.settle(2)
		on(2)
	}
	step("process killed", func() { hit(c.killProcess) })
	step("pod deleted by force", func() {
		hit(func(pod string) {
			c.do("kubectl", "delete", "pod", pod, "--grace-period=0", "--force")
			c.gone([]string{pod})
		})
	})
	step("node drained", func() { c.drainNode(); on(2) })

	if uid := c.do("kubectl", "get", "pod", "gw-ws-gateway-redis-0", "-o", "jsonpath={.metadata.uid}"); uid != redis {
		t.Error("Redis was replaced on the way")
	}
	if out := c.do("helm4", "test", "gw"); !strings.Contains(out, "Succeeded") {
		t.Errorf("helm test: %s", out)
	}
	for _, restarts := range strings.Fields(c.do("kubectl", "get", "pods", "--selector="+gateways, "-o", "jsonpath={.items[*].status.containerStatuses[*].restartCount}")) {
		if restarts != "0" {
			t.Errorf("a container was restarted %s times", restarts)
		}
	}
	d.stop()
	c.do("helm4", "uninstall", "gw", "--wait", "--timeout", "2m")
}

// acceptsAll asks the API server, which knows more than its schemas say, whether
// it would take what the chart makes of every file of values. Kinds of others are
// left out.
func (c *cluster) acceptsAll() {
	c.t.Helper()
	files, err := filepath.Glob(filepath.Join(chart, "ci", "*-values.yaml"))
	if err != nil || len(files) == 0 {
		c.t.Fatalf("files of values: %v, %v", files, err)
	}
	for _, file := range files {
		out := c.do("helm4", "template", "r", chart, "-f", file)
		var own []string
		for _, doc := range strings.Split(out, "\n---\n") {
			if !strings.Contains(doc, "apiVersion: monitoring.coreos.com") && !strings.Contains(doc, "apiVersion: gateway.networking") {
				own = append(own, doc)
			}
		}
		all := filepath.Join(c.t.TempDir(), "all.yaml")
		if err := os.WriteFile(all, []byte(strings.Join(own, "\n---\n")), 0o600); err != nil {
			c.t.Fatal(err)
		}
		if said, err := c.try("kubectl", "apply", "--dry-run=server", "-f", all); err != nil {
			c.t.Errorf("%s: %v", file, err)
		} else if strings.Contains(said, "Warning") {
			c.t.Errorf("%s: %s", file, said)
		}
	}
}

// pods lists the gateways that are not on their way out, sorted.
func (c *cluster) pods() []string {
	c.t.Helper()
	lines := strings.Fields(c.do("kubectl", "get", "pods", "--selector="+gateways, "-o",
		`go-template={{range .items}}{{if not .metadata.deletionTimestamp}}{{.metadata.name}} {{end}}{{end}}`))
	slices.Sort(lines)
	return lines
}

// gone waits until none of these pods is there any more, its drain included.
func (c *cluster) gone(names []string) {
	c.t.Helper()
	for _, name := range names {
		c.do("kubectl", "wait", "--for=delete", "pod/"+name, "--timeout=2m")
	}
}

// settle waits until there are so many gateways, all of them ready, and none
// that is ending.
func (c *cluster) settle(replicas int) {
	c.t.Helper()
	var state string
	for deadline := time.Now().Add(stepTime); time.Now().Before(deadline); time.Sleep(500 * time.Millisecond) {
		state = c.do("kubectl", "get", "pods", "--selector="+gateways, "-o",
			`jsonpath={range .items[*]}{.metadata.name}={.status.conditions[?(@.type=="Ready")].status} {end}`)
		if strings.Count(state, "=") == replicas && strings.Count(state, "=True") == replicas {
			return
		}
	}
	c.t.Fatalf("want %d gateways, all ready: %s", replicas, state)
}

// busiest is the pod that most clients are on, and what its instance is called:
// by the name of the pod, with something behind it.
func busiest(clients map[string]int, pods []string) (pod, instance string) {
	most := -1
	for name, n := range clients {
		for _, p := range pods {
			if strings.HasPrefix(name, p+"-") && n > most {
				pod, instance, most = p, name, n
			}
		}
	}
	return pod, instance
}

// killProcess kills the gateway of a pod as a lack of memory would, and waits
// until it runs again.
func (c *cluster) killProcess(pod string) {
	c.t.Helper()
	id := c.do("kubectl", "get", "pod", pod, "-o", "jsonpath={.status.containerStatuses[0].containerID}")
	c.script("k8s/node.sh", "ctr", "tasks", "kill", "-s", "SIGKILL", strings.TrimPrefix(id, "containerd://"))
	c.do("kubectl", "wait", "--for=jsonpath={.status.containerStatuses[0].restartCount}=1", "pod/"+pod, "--timeout=2m")
	c.do("kubectl", "wait", "--for=condition=Ready", "pod/"+pod, "--timeout=2m")
}

// drainNode drains the node. There is no other one, so the first pod that is
// evicted finds no place and the disruption budget protects the second; then the
// node is open again, and the drain goes on as each pod has its successor.
func (c *cluster) drainNode() {
	c.t.Helper()
	before := c.pods()
	node := c.do("kubectl", "get", "nodes", "-o", "jsonpath={.items[0].metadata.name}")
	if out, err := c.try("kubectl", "drain", node, "--ignore-daemonsets", "--delete-emptydir-data",
		"--pod-selector="+gateways, "--timeout=30s"); err == nil {
		c.t.Errorf("both gateways were evicted at once: %s", out)
	}
	if ready := c.do("kubectl", "get", "deployment", "gw-ws-gateway", "-o", "jsonpath={.status.readyReplicas}"); ready != "1" {
		c.t.Errorf("%s gateways are ready during the drain, want 1", ready)
	}
	c.do("kubectl", "uncordon", node)
	c.settle(2)
	left := 0
	for _, pod := range before {
		if slices.Contains(c.pods(), pod) {
			left++
			c.do("kubectl", "create", "--raw", fmt.Sprintf("/api/v1/namespaces/default/pods/%s/eviction", pod), "-f", eviction(c.t, pod))
			c.gone([]string{pod})
		}
	}
	if left != 1 {
		c.t.Errorf("%d of the gateways stayed at first, want 1", left)
	}
	c.settle(2)
}

// eviction is what drains ask for, in a file.
func eviction(t *testing.T, pod string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "eviction.json")
	body := fmt.Sprintf(`{"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": %q}}`, pod)
	if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
