package process

import (
	"os/exec"
	"syscall"
)

// bind gives the child a group of its own and makes it end with us.
func bind(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
