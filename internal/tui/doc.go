// Package tui shows things on a terminal that one steers with keys. It is the
// only package that imports bubbletea. A screen is a value: a key makes the next
// one, so that it is tested without a terminal. Whether there is a terminal is
// for the caller to know.
package tui
