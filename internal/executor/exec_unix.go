//go:build unix

package executor

import (
	"io"
	"os"
	"os/exec"
	"strconv"
)

// hearBeats gives cmd a file descriptor for the details of its heartbeats.
func hearBeats(cmd *exec.Cmd, pipe *pipes, told io.Writer) error {
	theirs, err := pipe.take(told)
	if err != nil {
		return err
	}
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Env = append(cmd.Env, beatVariable+"="+strconv.Itoa(beatDescriptor))
	return nil
}
