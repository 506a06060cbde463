// Package integration runs the whole engine in one process: routers, a projector
// with its API, executors and clients, as their users make them. Every test runs
// twice: on the embedded broker, and on a real one (see test/kafka for which). A
// prefix before every topic keeps the tests apart, so they share the real broker
// and run side by side. What must hold whatever happens, test/audit checks after
// every test, from the topics alone.
package integration
