//go:build race

package schema

// raced: the race detector makes everything several times slower.
const raced = true
