package redistest

import (
	"context"
	"fmt"
	"strconv"
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/redisconn"
)

const slots = 16384

// clusterArgs make a server a node of a cluster, which takes a node for dead
// after a second.
func clusterArgs(args []string) []string {
	return append([]string{"--cluster-enabled", "yes", "--cluster-node-timeout", "1000"}, args...)
}

// Cluster starts three masters that share the slots, and waits until all of
// them say that the cluster is well. args are options of each.
func Cluster(t testing.TB, args ...string) []*Server {
	t.Helper()
	const masters = 3
	nodes := make([]*Server, masters)
	for i := range nodes {
		nodes[i] = Single(t, clusterArgs(args)...)
	}
	ctx := context.Background()
	for i, node := range nodes {
		must(t, node.client.ClusterAddSlotsRange(ctx, i*slots/masters, (i+1)*slots/masters-1).Err())
		// Each its own epoch from the beginning: nothing is left to settle.
		must(t, node.client.Do(ctx, "cluster", "set-config-epoch", i+1).Err())
		meet(t, node, nodes[0])
	}
	for _, node := range nodes {
		node.until("the cluster is well", func() bool {
			return node.clusterInfo("cluster_state") == "ok" && node.clusterInfo("cluster_known_nodes") == strconv.Itoa(masters)
		})
	}
	return nodes
}

// ClusterReplica starts a replica of a cluster's master, which takes its place
// when that dies or when CLUSTER FAILOVER says so, and waits until all masters
// in nodes know it.
func ClusterReplica(t testing.TB, nodes []*Server, of *Server, args ...string) *Server {
	t.Helper()
	ctx := context.Background()
	r := Single(t, clusterArgs(args)...)
	meet(t, r, of)
	id := must1(t, of.client.ClusterMyID(ctx).Result)
	r.until("the replica finds its master", func() bool { return r.client.ClusterReplicate(ctx, id).Err() == nil })
	r.until("the replica follows", func() bool { return r.info("replication", "master_link_status") == "up" })
	for _, node := range nodes {
		node.until("the cluster knows the replica", func() bool {
			replicas, err := node.client.Do(ctx, "cluster", "replicas", id).StringSlice()
			return err == nil && len(replicas) > 0
		})
	}
	return r
}

// ClusterConfig are the settings of a gateway with these nodes as its Redis.
func ClusterConfig(nodes []*Server) redisconn.Config {
	cfg := redisconn.Config{Password: nodes[0].option("--requirepass")}
	for _, node := range nodes {
		cfg.ClusterAddrs = append(cfg.ClusterAddrs, node.Addr())
	}
	return cfg
}

func meet(t testing.TB, node, other *Server) {
	t.Helper()
	if node != other {
		must(t, node.client.ClusterMeet(context.Background(), "127.0.0.1", strconv.Itoa(other.port)).Err())
	}
}

// clusterInfo is a field of CLUSTER INFO, "" when the server does not answer.
func (s *Server) clusterInfo(field string) string {
	ctx, cancel := context.WithTimeout(context.Background(), answer)
	defer cancel()
	return fieldOf(s.client.ClusterInfo(ctx).Val(), field)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(fmt.Errorf("make a cluster: %w", err))
	}
}

func must1(t testing.TB, ask func() (string, error)) string {
	t.Helper()
	v, err := ask()
	must(t, err)
	return v
}
