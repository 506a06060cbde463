// Package node is about the workers of a cluster: which there are, what each can do,
// how much of it is free, and which of them is to run a task. Every worker of Leat
// keeps a record on the topic nodes ([events.NodeRecord]); a program of yours that
// works on something of its own can do the same, and can ask.
//
// The contracts are small: a [Registrar] takes what nodes say of themselves, a
// [Discovery] answers which can do something, an [Assigner] gives tasks to them.
// [Memory] keeps them within the process; pkg/client has them on Kafka. Package
// spitest in this folder is the suite that both pass.
//
// # Alive, unhealthy, expired
//
// A node beats every [BeatEvery]. One that missed [MissedUnhealthy] beats is
// unhealthy and gets no more tasks; one that missed [MissedExpired] is expired: it is
// as if it were not there, and its record is deleted. A node that stops in good order
// deletes its record at once. A beat that comes later revives nobody: such a node has
// to register again, under a new incarnation. Registering an incarnation that is
// there changes nothing; another incarnation of the same id replaces it, whose
// process finds out and ends.
//
// No clock of a node counts in any of this: how long ago a beat was is measured by
// who asks, and gaps between two beats by the broker.
//
// # Who gets a task
//
// [Capable] are the nodes that have every capability, serve the queue, and have
// enough of every resource free; [Choose] picks one of them by a [Strategy]. Both are
// pure. What a node has free is its capacity, less what whoever asks gave it, less
// what others gave it as far as it has said so. That can be out of date: a node admits by
// its own books and hands back what it has no room for.
//
// The package is not for running tasks; that is pkg/executor.
package node
