// Package config reads the environment and the policy file into one validated
// Config. Every fault is reported at once. It is the only package that reads
// the environment; the settings themselves stand beside the code that uses
// them, in internal/*.Config, with their names and defaults in env tags.
//
//go:generate go run ../test/reference
package config
