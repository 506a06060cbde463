// Package frame finds messages in what a stranger sends without end: events in a
// stream, lines in a pipe. It holds no more of it than the limit of one message.
package frame
