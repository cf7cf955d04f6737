package redistest

import (
	"context"
	"fmt"
	"strconv"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/moonx-farm/ws-gateway/internal/redisconn"
)

// Set is a master with replicas, and three Sentinels that agree by two about
// who is the master. Its methods are for one goroutine.
type Set struct {
	// Name is what the Sentinels call the master.
	Name string
	// Servers are the first master, then its replicas.
	Servers []*Server
	// Sentinels watch them.
	Sentinels []*Server

	t testing.TB
}

const (
	sentinels = 3
	quorum    = 2
)

// SentinelSet starts a set with one replica, and waits until the Sentinels
// know it and each other, so that they can fail over. They take a master for
// dead after half a second. args are options of the servers.
func SentinelSet(t testing.TB, args ...string) *Set {
	t.Helper()
	set := &Set{Name: "mymaster", t: t, Servers: []*Server{Single(t, args...)}}
	set.Servers = append(set.Servers, Replica(t, set.Servers[0], args...))
	conf := []string{
		fmt.Sprintf("sentinel monitor %s 127.0.0.1 %d %d", set.Name, set.Servers[0].port, quorum),
		"sentinel down-after-milliseconds " + set.Name + " 500",
		"sentinel failover-timeout " + set.Name + " 3000",
	}
	if password := set.Servers[0].option("--requirepass"); password != "" {
		conf = append(conf, "sentinel auth-pass "+set.Name+" "+password)
	}
	for range sentinels {
		set.Sentinels = append(set.Sentinels, launch(t, conf, "--sentinel"))
	}
	set.settle()
	return set
}

// settle waits until every Sentinel could lead a failover.
func (set *Set) settle() {
	set.t.Helper()
	for _, s := range set.Sentinels {
		s.until("the sentinels know all", func() bool {
			state := s.master(set.Name)
			return state["flags"] == "master" && state["num-slaves"] == strconv.Itoa(len(set.Servers)-1) &&
				state["num-other-sentinels"] == strconv.Itoa(sentinels-1)
		})
	}
}

// master is what a Sentinel knows of it, nil when it does not answer.
func (s *Server) master(name string) map[string]string {
	ctx, cancel := context.WithTimeout(context.Background(), answer)
	defer cancel()
	cmd := redis.NewMapStringStringCmd(ctx, "sentinel", "master", name)
	_ = s.client.Process(ctx, cmd)
	return cmd.Val()
}

// Addrs are those of the Sentinels.
func (set *Set) Addrs() []string {
	var all []string
	for _, s := range set.Sentinels {
		all = append(all, s.Addr())
	}
	return all
}

// Config are the settings of a gateway with this set as its Redis.
func (set *Set) Config() redisconn.Config {
	return redisconn.Config{SentinelAddrs: set.Addrs(), SentinelMaster: set.Name, Password: set.Servers[0].option("--requirepass")}
}

// Master is the server that most Sentinels call so; nil while they do not
// agree, as in a failover.
func (set *Set) Master() *Server {
	for _, server := range set.Servers {
		votes := 0
		for _, s := range set.Sentinels {
			if s.master(set.Name)["port"] == strconv.Itoa(server.port) {
				votes++
			}
		}
		if votes >= quorum {
			return server
		}
	}
	return nil
}

// WaitMaster waits until another server than one is the master and says so
// itself, and returns it.
func (set *Set) WaitMaster(not *Server) *Server {
	set.t.Helper()
	var now *Server
	set.Sentinels[0].until("another server is the master", func() bool {
		now = set.Master()
		return now != nil && now != not && now.info("replication", "role") == "master"
	})
	return now
}
