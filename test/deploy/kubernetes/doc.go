// Package kubernetes installs the chart into a real cluster, with real pods, and
// changes it in every way that operators do while the traffic of
// test/deploy/traffic goes through its Service: no acknowledged message may be
// lost.
//
// It needs a machine that it may start a cluster on, as root, and a folder of
// scripts that do so, which RIG names; without RIG it is skipped. The scripts are
// k8s/cp.sh (start, stop, and in COMMAND, which runs a command inside of the
// cluster's network with its kubectl and helm4), k8s/node.sh (start, stop, load
// IMAGE.tar) and k8s/mkimage.py (a folder to an image).
package kubernetes
