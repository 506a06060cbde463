//go:build !unix

package executor

import (
	"io"
	"os/exec"
)

// hearBeats does nothing: file descriptors are not inherited here.
func hearBeats(*exec.Cmd, *pipes, io.Writer) error { return nil }
