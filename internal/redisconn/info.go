package redisconn

import (
	"strconv"
	"strings"
)

// facts are what INFO says of a server.
type facts struct {
	repl    Replication
	master  bool
	version string // such as 7.0.15
	policy  string // maxmemory_policy; empty when not said
}

// readFacts reads the sections server, replication and memory of INFO.
func readFacts(info string) facts {
	f := facts{repl: Replication{Known: true}}
	for line := range strings.SplitSeq(info, "\n") {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\r"), ":")
		switch name {
		case "redis_version":
			f.version = value
		case "run_id":
			f.repl.RunID = value
		case "role":
			f.master = value == "master"
		case "master_replid":
			f.repl.ID = value
		case "maxmemory_policy":
			f.policy = value
		default:
			if strings.HasPrefix(name, "slave") && strings.Contains(value, "state=online") {
				f.repl.Replicas++
			}
		}
	}
	return f
}

// minMajor is the first version with sharded channels and functions such as
// SET NX GET.
const minMajor = 7

// old tells whether the server is older than this package can use. Unreadable
// versions pass: forks count in their own way.
func (f facts) old() bool {
	major, _, _ := strings.Cut(f.version, ".")
	n, err := strconv.Atoi(major)
	return err == nil && n < minMajor
}
