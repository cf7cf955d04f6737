// Package budget keeps what the gateway may cost. It builds the gateway and
// wsbench, and runs one against the other on loopback with the shipped defaults:
//
//   - memory of an idle connection, a sum over thousands of them;
//   - CPU of a handshake, a delivery and a publish, as a ratio to something bare
//     that is measured in the same run, so that it holds on any machine.
//
// compare prints benchmarks beside the stored baseline (task bench); bare is the
// server that handshakes are measured beside.
package budget
