// Package report shows what wsbench does and found: a progress line while it
// runs, a table at the end, and a JSON result that holds every figure with its
// unit, the parameters and the versions. Results are plain data so that later
// reports (charts, comparisons) can be made of the same files.
package report
