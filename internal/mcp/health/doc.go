// Package health says how an MCP server is, from what probes and calls found: a
// breaker that lets one call try whether a failing server works again, and a
// monitor that keeps lifecycle, connection and health, with a reason. It decides
// with the times and outcomes that it is given: it does no I/O and is not for
// concurrent use, which is its owner's.
package health
