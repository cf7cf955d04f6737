// Package budget keeps what one idle connection may cost: it builds the
// gateway and wsbench, runs one against the other on loopback with the shipped
// defaults, and compares the figures with their budgets. The figures are sums
// over thousands of connections and do not depend on the machine's speed.
package budget
