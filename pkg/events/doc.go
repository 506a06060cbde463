// Package events is the vocabulary of Leat: what is said on the topics.
//
// A [Command] asks, an [Event] records what was decided, a [Task] is work to
// do, a [TaskResult] is what came of it, a [Snapshot] is where an instance
// stands, and an [Outcome] answers a command that led to no event. The names,
// fields and closed sets are those of the seed document (sections "Event
// Sourcing Architecture", "Workflow Isolation Pattern" and "Type Safety
// First"); enum values are spelled as there.
//
// The package holds data and its validation only. It imports the standard
// library alone, does no I/O, reads no clock and starts no goroutine; how the
// records become bytes is the business of internal/avro. Every type is safe
// for concurrent reading and none for concurrent writing.
package events
