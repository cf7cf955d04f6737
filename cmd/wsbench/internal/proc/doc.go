// Package proc asks the kernel and a Go process about memory, CPU time and
// descriptors: /proc, getrusage, and the admin endpoints that a gateway (or
// wsbench's own naive server) serves. It also starts helper processes and
// stops them whatever happens.
package proc
