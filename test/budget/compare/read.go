package main

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// calibration is the benchmark that times are divided by.
const calibration = "budget.BenchmarkCalibration"

// outcome is what one benchmark came to.
type outcome struct {
	ns         float64 // per operation, the best run
	calibrated float64 // the same in operations of the calibration
	allocs     int64   // per operation, the best run
}

// results are outcomes by package and benchmark, "hub.BenchmarkDeliver/…".
type results map[string]outcome

// read reads what `go test -bench -benchmem` printed for some packages, the
// one with the calibration among them.
func read(file string) (results, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	r, err := parse(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}

func parse(in io.Reader) (results, error) {
	r := results{}
	pkg := ""
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if p, ok := strings.CutPrefix(lines.Text(), "pkg: "); ok {
			pkg = path.Base(p)
		}
		if name, o, ok := parseLine(lines.Text()); ok {
			r.best(pkg+"."+name, o)
		}
	}
	unit := r[calibration].ns
	if unit == 0 {
		return nil, fmt.Errorf("no %s", calibration)
	}
	for name, o := range r {
		o.calibrated = o.ns / unit
		r[name] = o
	}
	return r, lines.Err()
}

func (r results) best(name string, o outcome) {
	if b, known := r[name]; known {
		o.ns, o.allocs = min(o.ns, b.ns), min(o.allocs, b.allocs)
	}
	r[name] = o
}

// parseLine reads "BenchmarkX-8  100  12.3 ns/op  0 B/op  0 allocs/op". The
// number of processors is no part of the name.
func parseLine(line string) (string, outcome, bool) {
	fields := strings.Fields(line)
	if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
		return "", outcome{}, false
	}
	var o outcome
	for i := 3; i < len(fields); i += 2 {
		v, err := strconv.ParseFloat(fields[i-1], 64)
		if err != nil {
			return "", outcome{}, false
		}
		switch fields[i] {
		case "ns/op":
			o.ns = v
		case "allocs/op":
			o.allocs = int64(v)
		}
	}
	return regexp.MustCompile(`-\d+$`).ReplaceAllString(fields[0], ""), o, o.ns > 0
}

// write stores results in the form that read takes.
func write(file string, r results) error {
	var b strings.Builder
	pkg := ""
	for _, name := range slices.Sorted(maps.Keys(r)) {
		of, bench, _ := strings.Cut(name, ".")
		if of != pkg {
			pkg = of
			fmt.Fprintf(&b, "pkg: %s\n", pkg)
		}
		o := r[name]
		fmt.Fprintf(&b, "%s 1 %s ns/op %d allocs/op\n", bench, strconv.FormatFloat(o.ns, 'g', 4, 64), o.allocs)
	}
	return os.WriteFile(file, []byte(b.String()), 0o600)
}
