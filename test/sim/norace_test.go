//go:build !synctests && !race

package sim

const underRace = false
