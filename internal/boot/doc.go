// Package boot is the composition root: it turns flags, environment and file
// into a configuration, sets up logs, metrics, health and signals, and runs the
// workers. cmd/router, cmd/projector and cmd/executor are a call of [Main];
// `leat dev` and the examples use [StartDev].
//
// It decides nothing about workflows, and nothing imports it but programs.
package boot
