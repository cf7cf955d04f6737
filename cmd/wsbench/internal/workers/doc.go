// Package workers runs a scenario in several processes at once, because one may
// open only so many descriptors and use only so many cores. The leading
// process (Run) starts them, gives each its share, holds them together at the
// borders of phases, and makes one result of theirs. A worker (Serve) is the
// same program; it talks JSON, one value after the other, on its standard input
// and output, and ends with the leading process, whatever ends that.
package workers
