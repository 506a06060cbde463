package devleat

import (
	"os/exec"
	"syscall"
)

// bind makes the kernel kill the child when we end, however we end, and keeps a
// Ctrl-C at the terminal from it: we stop it when it is no longer needed.
func bind(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
