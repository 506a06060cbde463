package kafkatest

import (
	"os/exec"
	"syscall"
)

// bind makes the kernel kill the child when we end, and keeps a Ctrl-C at the
// terminal from reaching the child before we have decided what it means.
func bind(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

func guard(int) (release func()) { return func() {} }
