package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"text/tabwriter"
)

// much is the change of a time that is pointed out; benchmarks on shared
// machines differ by less from run to run.
const much = 0.25

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout io.Writer) error {
	fs := flag.NewFlagSet("compare", flag.ContinueOnError)
	update := fs.Bool("update", false, "make the results the baseline")
	file := fs.String("baseline", "test/budget/testdata/bench.txt", "where the baseline is")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() != 1 {
		return errors.New("want one file of results")
	}
	now, err := read(fs.Arg(0))
	if err != nil {
		return err
	}
	if *update {
		return write(*file, now)
	}
	base, err := read(*file)
	if err != nil {
		return err
	}
	return show(stdout, base, now)
}

// show prints the results of now beside those of base. A star marks what is
// much slower, or allocates more.
func show(w io.Writer, base, now results) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(t, "ns/op\tcalibrated\tbaseline\tratio\tallocs/op\tbaseline\t\tbenchmark\t")
	for _, name := range slices.Sorted(maps.Keys(now)) {
		n := now[name]
		b, known := base[name]
		if !known {
			_, _ = fmt.Fprintf(t, "%.4g\t%.4g\t-\tnew\t%d\t-\t\t%s\t\n", n.ns, n.calibrated, n.allocs, name)
			continue
		}
		ratio := n.calibrated / cmp.Or(b.calibrated, n.calibrated)
		mark := ""
		if ratio > 1+much || n.allocs > b.allocs {
			mark = "*"
		}
		_, _ = fmt.Fprintf(t, "%.4g\t%.4g\t%.4g\t%.2f\t%d\t%d\t%s\t%s\t\n", n.ns, n.calibrated, b.calibrated, ratio, n.allocs, b.allocs, mark, name)
	}
	return t.Flush()
}
