// Package once shows that a tool call has its effect once: an executor is killed with
// SIGKILL at each point of a call of a real server, another one comes, and what the tool
// did to a file is counted.
//
// Nothing in the product knows of it. A relay stands between the executor and the
// broker (broker_test.go), which kills it before or behind each of its writes, and another
// between the executor and the server that it started (relay_test.go), which kills it
// when it has written the first byte of the call, when the tool has run, and so on.
package once
