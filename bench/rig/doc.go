// Package rig is what the benchmarks share: figures, processor time, ids, and a
// router with an embedded broker in the benchmark's own process.
package rig
