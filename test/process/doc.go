// Package process runs programs for tests: built once, as children that do not
// outlive the test's process, and that can be killed with all that they started.
package process
