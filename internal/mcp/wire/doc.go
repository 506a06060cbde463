// Package wire is one connection to one MCP subsystem: over Streamable HTTP or
// the standard streams of a process, in the revisions 2026-07-28 ("modern", every
// request stands alone) and 2025-11-25 and before ("legacy", with a handshake).
//
// It lists tools, calls them, continues calls that asked something, and asks for
// tasks. What it promises is evidence: of a call that failed it says whether the
// subsystem can have run it. It never sends a call a second time, except behind
// an answer which says that it did not run: a 401 with a new credential, a
// session that the server no longer knows. It checks no arguments and no results
// against schemas (that is package schema's), picks no subsystem, and retries
// nothing.
//
// Each call stands alone. What comes for it cut, too long, late, twice or for
// nobody ends it, or is dropped and counted; it ends no other call.
//
// # Organization
//
//   - target.go, answer.go, call.go, failure.go, tool.go: what callers say and get
//   - conn.go, era.go, list.go, listen.go, task.go, held.go: what a connection does
//   - message.go, meta.go, header.go: the bytes
//   - http.go, sse.go, session.go: Streamable HTTP
//   - pipe.go, line.go: the standard streams of a process
package wire
