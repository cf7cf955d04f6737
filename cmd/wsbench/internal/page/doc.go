// Package page makes the HTML report of a result: one file without any
// reference outside it, with charts as inline SVG. It is light or dark as the
// reader prefers, light on paper, and readable on a phone. A small script shows
// the values under the pointer; without it nothing else is missing.
package page
