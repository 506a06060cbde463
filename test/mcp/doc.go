// Package mcp holds the tests of the Model Context Protocol that need an engine, or
// judges from outside: the conformance suite, whose client is in client and whose
// fixtures are in fixture and definitions.
package mcp
