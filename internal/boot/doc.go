// Package boot is the composition root: it takes settings (config), sets up logs,
// metrics and health (ops), addresses (listen) and signals, and runs the workers;
// what goes wrong it explains (explain). cmd/router, cmd/projector and
// cmd/executor are a call of [Main]; `leat dev` uses [StartDev].
//
// It decides nothing about workflows, and nothing imports it but programs.
package boot
