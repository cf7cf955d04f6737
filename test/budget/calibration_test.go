package budget

import (
	"hash/fnv"
	"strconv"
	"testing"
)

// BenchmarkCalibration is some work of the kinds that a message makes: bytes
// to go through, a map to look up, memory to allocate. Other benchmarks are
// told in multiples of it.
func BenchmarkCalibration(b *testing.B) {
	data := make([]byte, 1<<10)
	index := map[string]int{}
	keys := make([]string, 1<<10)
	for i := range keys {
		keys[i] = strconv.Itoa(i)
		index[keys[i]] = i
	}
	var kept [16][]byte
	sum := 0
	for i := 0; b.Loop(); i++ {
		h := fnv.New64a() // in plain Go: no processor has instructions for it
		_, _ = h.Write(data)
		data[i%len(data)] = byte(h.Sum64())
		sum += index[keys[i%len(keys)]]
		kept[i%len(kept)] = make([]byte, 128)
	}
	_, _ = sum, kept
}
