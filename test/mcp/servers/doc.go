// Package mcpservers gives tests the MCP servers that people use: those of the MCP
// project for Node, the Go SDK's, and three from PyPI, in versions that are pinned here
// with everything below them.
//
// The first call on a machine installs what it needs into the user's cache folder, with
// npm, pip and go; later calls, from any process, only look. [Install] gets all of it at
// once (`make mcp-servers`). A test asks for what it needs, and is skipped, with the
// reason, where that cannot be had; with LEAT_REQUIRE_MCP=1 it fails:
//
//	s := mcpservers.Filesystem(t, dir) // how to start it on its standard streams
//	url := mcpservers.EverythingHTTP(t) // it runs on loopback until the test ends
package mcpservers
