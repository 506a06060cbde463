//go:build !unix

package process

import (
	"os"
	"os/exec"
)

// Group does nothing: without process groups only the program itself is ended.
type Group struct{ program *exec.Cmd }

// NewGroup is a group without a watcher.
func NewGroup() (*Group, error) { return &Group{}, nil }

// Start runs cmd.
func (g *Group) Start(cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	g.program = cmd
	return nil
}

// Terminate ends the program: there is no way to ask.
func (g *Group) Terminate() error {
	if g.program == nil {
		return os.ErrProcessDone
	}
	return g.program.Process.Kill()
}

// Kill ends the program.
func (g *Group) Kill() { _ = g.Terminate() }

// End has nothing to do.
func (g *Group) End() {}
