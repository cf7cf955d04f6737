// Package readme has no code, only tests: they do what README.md says, by the
// very words that stand there. Every example of the page must be known here, by
// how it begins, with what is done with it; one that is not fails the test, and
// so does one that is gone. What differs from a reader's machine: ports, that
// Docker is not asked, and that loads are small.
package readme
