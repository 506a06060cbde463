//go:build race

package integration

// raced: the race detector takes several times the memory.
const raced = true
