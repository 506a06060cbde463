// Package events is the vocabulary of Leat: the records on its topics.
//
// A [Command] is a request, an [Event] records what was decided, a [Task] is work to
// do, a [TaskResult] is its result, a [Snapshot] is the state of an instance, and
// an [Outcome] answers a command that led to no event. Names, fields and enum
// values are those of the ONEX SPI where it has them (docs/reference/onex-spi.md).
//
// The package holds data and its validation only. It imports the standard
// library alone, does no I/O, reads no clock and starts no goroutine; how the
// records become bytes is the business of internal/avro. Every type is safe
// for concurrent reading and none for concurrent writing.
package events
