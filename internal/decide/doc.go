// Package decide says what follows from a command or from a timer that is due.
// It is pure: no clock, no I/O, no goroutine, no randomness. The router hands in
// all that a decision depends on, and carries out what comes back.
package decide
