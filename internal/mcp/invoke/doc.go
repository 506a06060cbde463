// Package invoke runs the mcp invocations of definitions: task mcp.call of queue
// mcp. Its input is {tool, subsystem, require, arguments}, its result {content,
// structured, subsystem, tool, pin, sent, received}.
//
// A tool call can have effects. So the arguments are checked before the first byte
// leaves, the attempt is claimed with whether it may be made again, and a call that
// failed is made again, here or elsewhere, only when it did not run for certain or
// when the tool may be repeated. Otherwise its outcome is unknown, and that is what
// the statechart is told.
//
// invoke.go admits and runs, input.go reads what to call, call.go makes the calls,
// outcome.go says what they come to, later.go continues those that asked something
// or became tasks.
package invoke
