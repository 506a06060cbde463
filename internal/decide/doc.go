// Package decide says what follows from a command, or from a timer that is due,
// for one instance of a workflow. It is pure: no clock, no I/O, no goroutine, no
// randomness. The same [Input] and snapshot give the same [Decision], wherever
// and whenever they are decided, and nothing that is handed in is changed. On
// this rest crash recovery (a decision that was lost is made again), replay (a
// history is checked against its definition) and reset (a past is found again).
//
// # How a decision is made
//
// [Decide] takes an input through these steps; the first that has an answer ends
// the way.
//
//  1. What only parents and children say to each other: a child that is there
//     already, an end that another than the parent requested (child.go).
//  2. A timer: of the retention (life.go), or the statechart's.
//  3. What is refused without a look at the statechart (refuse): a command that was
//     decided before, one that is based on an old sequence, an instance or a
//     version that is not there, a payload that is too large (refuse.go).
//  4. What has to wait: an instance that is paused, or that has an incident, holds
//     signals and results until it goes on (hold.go).
//  5. The kind of command decides, by its row of the table (commands.go): signals
//     and reports go to the statechart; pause, cancel and so on act on the life of
//     the instance (life.go); migrate and reset move it to another version or to
//     its past (evolve.go).
//
// Whatever reaches the statechart is one call of [fsm.Machine.Step]. A recorder
// (record.go) turns its effects into events with gapless sequence numbers and
// causes, tasks, commands to others and the next snapshot, and ends an instance
// whose history is at its limit (refuse.go). Last come the notifications of a parent about a
// child that was refused, and what the audit keeps (audit.go).
//
// # What cannot be decided or written
//
// An error of Decide, or of encoding the decision, is no input's end:
// [Park] keeps the input with an incident of its instance, to be decided again or
// left out by an operator; [AsFailure] turns a result that cannot even be kept into
// a failure of its attempt; [GiveUp] answers clients that wait that nothing could be
// done. A panic is such an error ([Rescue]).
//
// # Deciding again
//
// [Replay] decides a recorded history again and says where it would go another
// way; [Stands] compares where it ends with where the instance is.
package decide
