//go:build !unix

package mcpservers

// lock does nothing: two processes may then both fetch the jars, and the rename
// at the end keeps one of the two copies.
func lock(string) (unlock func(), err error) { return func() {}, nil }
