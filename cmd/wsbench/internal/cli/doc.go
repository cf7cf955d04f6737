// Package cli is wsbench's command line: subcommands, flags, usage, signals
// and exit codes. What the scenarios do is in package bench.
package cli
