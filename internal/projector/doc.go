// Package projector folds what the routers committed into local views and
// answers queries about them over HTTP.
//
// Every projector process holds every partition: reads scale by adding
// processes, and none of them depends on another. The views are a copy that may
// be lost at any time; the topics are the truth, and a view is a pure fold of
// them: any split into batches, any restart and any replay gives the same
// views, byte for byte.
//
// # Organization
//
// projector.go is what boot makes and runs, worker.go the partitions' life under
// internal/shard; the views are a room of their own, views. query.go and hub.go
// wait for what a caller has written (read your writes), and the api_*.go files
// are the routes, one noun each.
//
// The package decides nothing about workflows and writes to no topic but the
// commands topics, on behalf of HTTP callers.
package projector
