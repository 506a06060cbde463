// Package serve is a server of the Model Context Protocol, over HTTP and over
// standard streams: it knows the protocol, who calls, and what a task of the
// extension io.modelcontextprotocol/tasks is. What the tools do is for others to
// say (internal/mcp/offer offers workflows).
//
// The protocol itself is the SDK's, which knows no tasks: their methods, their
// results and the checks of their headers are added from outside. No type of the
// SDK is in what callers see, but for tests of the protocol, so that another SDK
// can take its place.
//
// A server keeps nothing between two requests: any replica answers any of them.
//
// # Organization
//
// tool.go is what a tool and its answers are, task.go what a task is. server.go
// wraps the SDK's server, extension.go adds the tasks, content.go writes answers as
// the protocol has them. door.go is the HTTP side, bearer.go knows who may enter.
package serve
