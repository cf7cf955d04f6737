// Package redisconn connects to Redis (the gateway's RedisManager): a single
// server, one that Sentinel names, or a cluster, whichever is configured.
//
// A Manager gives two kinds of clients. Client is for ordinary commands, which
// may be sent twice. A Shard's client talks to one master and repeats nothing:
// who must know whether a command was executed decides about repeats.
//
// A goroutine per shard looks at its master every second, on a connection of
// its own, and knows which history of writes the master continues: its
// replication ID, and which start of the server this is. Watchers hear when
// that is another one than before, for then what Redis had acknowledged may be
// gone. In a cluster one more goroutine keeps the table of slots.
//
// All keys begin with the prefix, then a kind, then a tag in braces: in a
// cluster everything with one tag is on one shard. The key prefix+"schema"
// holds the version of this order.
//
// Locks: Manager.mu guards what Start and Close share; nothing else is locked
// under it.
package redisconn
