//go:build !unix

package executor

import (
	"io"
	"os/exec"
)

// group does nothing: without process groups only the program itself is ended.
type group struct{ program *exec.Cmd }

func newGroup() (*group, error) { return &group{}, nil }

func (g *group) start(cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	g.program = cmd
	return nil
}

func (g *group) kill() { _ = g.program.Process.Kill() }

func (g *group) end() {}

// hearBeats does nothing: file descriptors are not inherited here.
func hearBeats(*exec.Cmd, *pipes, io.Writer) error { return nil }
