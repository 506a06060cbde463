//go:build !synctests

package sim

import (
	"os"
	"os/exec"
	"testing"
)

// TestSim runs the simulation with the build tag that it needs: under it the
// mutexes of franz-go are channels. testing/synctest does not count a wait for a
// sync.Mutex as waiting, and the client holds some while it waits for a broker.
func TestSim(t *testing.T) {
	args := []string{"test", "-tags", "synctests", "-count=1", "-timeout", "60m", "-run", "^TestSim"}
	if testing.Verbose() {
		args = append(args, "-v")
	}
	if underRace {
		args = append(args, "-race")
	}
	command := exec.CommandContext(t.Context(), "go", append(args, ".")...)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	if err := command.Run(); err != nil {
		t.Fatalf("the simulation failed, see above (%v)", err)
	}
}
