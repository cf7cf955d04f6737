// Package live shows a run in the terminal: a few lines that redraw themselves,
// with a progress bar, rates, percentiles and small curves, in colour unless
// NO_COLOR is set. Where there is no terminal it writes one plain line a second.
package live
