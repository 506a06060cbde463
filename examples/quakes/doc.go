// Quakes runs a week of real earthquakes through the workflow in quake.yaml: one
// instance for each, on `leat dev`, which it starts, or on any Kafka. README.md
// shows how; main.go is the command line, run.go what it does, handlers.go the
// tasks. It is an example and a test, not a library.
package main
