//go:build !linux

package gateway

// MemoryLimit is not known on this system: 0.
func MemoryLimit() int64 { return 0 }
