// Command compare prints the results of `go test -bench` beside a stored
// baseline:
//
//	go run ./test/budget/compare [-update] [-baseline FILE] RESULTS
//
// Times are divided by that of BenchmarkCalibration in the same run, so that
// runs on different machines can be compared, roughly; allocations need no such
// thing. Of several runs of one benchmark the best counts. With -update the
// results become the baseline.
package main
