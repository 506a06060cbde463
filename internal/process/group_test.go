//go:build unix

package process

import (
	"os/exec"
	"testing"
	"time"
)

// TestGroupEndsWithItsProcess is about a process that is killed: all that is
// left of it is the end of what it held.
func TestGroupEndsWithItsProcess(t *testing.T) {
	g, err := NewGroup()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", "trap '' TERM HUP; sleep 30 & sleep 30")
	if err := g.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := g.hold.Close(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := cmd.Wait(); err == nil || time.Since(began) > 20*time.Second {
		t.Fatalf("the program ended by itself: %v", err)
	}
	g.End()
}
