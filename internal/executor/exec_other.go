//go:build !unix

package executor

import "os/exec"

// ownGroup does nothing: without process groups only the program itself is ended.
func ownGroup(*exec.Cmd) {}

func endGroup(*exec.Cmd) {}
