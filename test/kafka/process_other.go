//go:build !linux

package kafkatest

import (
	"os/exec"
	"strconv"
)

func bind(*exec.Cmd) {}

// guard stands in for Linux's Pdeathsig: a shell waits for the end of its
// standard input, which comes when release is called or when we are gone, and
// kills the child.
func guard(pid int) (release func()) {
	sh := exec.Command("sh", "-c", "cat >/dev/null; kill -9 "+strconv.Itoa(pid)+" 2>/dev/null")
	in, err := sh.StdinPipe()
	if err != nil || sh.Start() != nil {
		return func() {} // the broker is still stopped by Stop and Close
	}
	return func() {
		sh.Process.Kill() // first: the pid may belong to somebody else by now
		in.Close()
		sh.Wait()
	}
}
