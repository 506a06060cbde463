//go:build unix && !linux

package process

import (
	"os/exec"
	"syscall"
)

// bind gives the child a group of its own.
func bind(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
