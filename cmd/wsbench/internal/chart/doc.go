// Package chart lays out line charts: it picks the ticks, scales the values and
// makes SVG paths. Positions are percentages of the plot, so that a page can
// stretch a chart to any width while its labels, which are ordinary text, keep
// their size. It knows nothing about pages or colours.
package chart
