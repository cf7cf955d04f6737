package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const printed = `goos: linux
pkg: example.com/m/internal/hub
cpu: any
BenchmarkDeliver/batch_of_1-8   	 100	 4000 ns/op	 12.5 ns/delivery	 96 B/op	 2 allocs/op
BenchmarkDeliver/batch_of_1-8   	 100	 3000 ns/op	 12.5 ns/delivery	 96 B/op	 2 allocs/op
PASS
pkg: example.com/m/test/budget
BenchmarkCalibration-8   	 100	 1000 ns/op	 0 B/op	 0 allocs/op
`

func TestTheBestRunCountsInOperationsOfTheCalibration(t *testing.T) {
	r, err := parse(strings.NewReader(printed))
	if err != nil {
		t.Fatal(err)
	}
	if o := r["hub.BenchmarkDeliver/batch_of_1"]; o != (outcome{ns: 3000, calibrated: 3, allocs: 2}) {
		t.Errorf("got %+v of %v", o, r)
	}
}

func TestResultsWithoutCalibrationAreRefused(t *testing.T) {
	if _, err := parse(strings.NewReader("pkg: hub\nBenchmarkX 1 5 ns/op 0 allocs/op\n")); err == nil {
		t.Error("no error")
	}
}

func TestABaselineIsStoredAndComparedWith(t *testing.T) {
	dir := t.TempDir()
	results, baseline := filepath.Join(dir, "now.txt"), filepath.Join(dir, "base.txt")
	put := func(text string) {
		if err := os.WriteFile(results, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(printed)
	var out strings.Builder
	if err := run([]string{"-update", "-baseline", baseline, results}, &out); err != nil {
		t.Fatal(err)
	}
	put(strings.ReplaceAll(printed, "2 allocs/op", "3 allocs/op"))
	if err := run([]string{"-baseline", baseline, results}, &out); err != nil {
		t.Fatal(err)
	}
	if s := out.String(); !strings.Contains(s, "1.00") || strings.Count(s, "*") != 1 {
		t.Errorf("printed:\n%s", s)
	}
}
