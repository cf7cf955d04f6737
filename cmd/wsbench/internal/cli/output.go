//go:build linux

package cli

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/page"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
)

// output says where a result goes beside the table.
type output struct{ json, html string }

func (o *output) flags(fs *flag.FlagSet) {
	fs.StringVar(&o.json, "json", "", "write the result as JSON to this file; -: to stdout, and the table to stderr")
	fs.StringVar(&o.html, "html", "", "write a report with charts, one HTML file without references outside it")
}

// withoutSecrets takes users and queries, where credentials may be, out of a
// list of URLs. What is no list of URLs stays as it is.
func withoutSecrets(list string) string {
	parts := strings.Split(list, ",")
	for i, part := range parts {
		if u, err := url.Parse(strings.TrimSpace(part)); err == nil && u.Host != "" {
			u.User, u.RawQuery = nil, ""
			parts[i] = u.String()
		}
	}
	return strings.Join(parts, ",")
}

// try finds out before a long run whether the files can be written.
func (o *output) try() error {
	for _, name := range []string{o.json, o.html} {
		if name == "" || name == "-" && name == o.json {
			continue
		}
		f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o644) //nolint:gosec // the user's choice
		if err != nil {
			return fmt.Errorf("the result could not be written: %w", err)
		}
		if err := f.Close(); err != nil {
			return fmt.Errorf("the result could not be written: %w", err)
		}
	}
	return nil
}

// write puts the table on stdout, and the result where the flags say.
func (o *output) write(res *report.Result, stdout, stderr io.Writer) error {
	table := stdout
	switch o.json {
	case "":
	case "-":
		table = stderr
		if err := res.WriteJSON(stdout); err != nil {
			return fmt.Errorf("write the result: %w", err)
		}
	default:
		if err := toFile(o.json, res.WriteJSON); err != nil {
			return fmt.Errorf("write the result: %w", err)
		}
	}
	if o.html != "" {
		if err := toFile(o.html, func(w io.Writer) error { return page.Write(w, res) }); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	return res.WriteTable(table)
}

func toFile(name string, write func(io.Writer) error) error {
	f, err := os.Create(name) //nolint:gosec // the user's choice
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

func fromFile(name string, stdin io.Reader) (*report.Result, error) {
	if name == "-" && stdin != nil {
		return report.Read(stdin)
	}
	f, err := os.Open(name) //nolint:gosec // the user's choice
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	res, err := report.Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return res, nil
}

// htmlReport makes the report of an old result.
func htmlReport(args []string, stdin io.Reader, stdout io.Writer, stderr *os.File) int {
	fs := flag.NewFlagSet("report", flag.ContinueOnError)
	fs.SetOutput(stderr)
	to := fs.String("o", "", "write to this file; -: to stdout; without it the result's name with .html")
	fs.Usage = func() {
		_, _ = fmt.Fprint(stderr, "wsbench report [-o FILE.html] RESULT.json (-: stdin)\n\n")
		fs.PrintDefaults()
	}
	if exit, ok := parse(fs, args, 1); !ok {
		return exit
	}
	res, err := fromFile(fs.Arg(0), stdin)
	if err != nil {
		return code(err, stderr)
	}
	if *to == "" && fs.Arg(0) != "-" {
		*to = strings.TrimSuffix(fs.Arg(0), filepath.Ext(fs.Arg(0))) + ".html"
	}
	write := func(w io.Writer) error { return page.Write(w, res) }
	if *to == "" || *to == "-" {
		return code(write(stdout), stderr)
	}
	if err := toFile(*to, write); err != nil {
		return code(err, stderr)
	}
	_, _ = fmt.Fprintln(stdout, *to)
	return OK
}

// compare prints the ratios of two results.
func compare(args []string, _ io.Reader, stdout io.Writer, stderr *os.File) int {
	fs := flag.NewFlagSet("compare", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		_, _ = fmt.Fprint(stderr, "wsbench compare A.json B.json: the figures of both, and B / A\n")
	}
	if exit, ok := parse(fs, args, 2); !ok {
		return exit
	}
	a, err := fromFile(fs.Arg(0), nil)
	if err != nil {
		return code(err, stderr)
	}
	b, err := fromFile(fs.Arg(1), nil)
	if err != nil {
		return code(err, stderr)
	}
	return code(report.Compare(stdout, a, b, fs.Arg(0), fs.Arg(1)), stderr)
}

// parse wants n arguments beside the flags; not ok ends with an exit code.
func parse(fs *flag.FlagSet, args []string, n int) (exit int, ok bool) {
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return OK, false
	case err != nil:
		return Usage, false
	case fs.NArg() != n:
		fs.Usage()
		return Usage, false
	}
	return OK, true
}
