//go:build unix

package process_test

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/leat-io/leat/test/process"
)

// A child's own children go with it.
func TestKillReachesTheGroup(t *testing.T) {
	said, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	cmd := exec.Command("sh", "-c", "sleep 600 & echo $!; wait")
	cmd.Stdout = out
	c, err := process.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Kill()
	out.Close()
	lines := bufio.NewReader(said)
	if line, err := lines.ReadString('\n'); err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	c.Kill()
	if c.Err() == nil {
		t.Error("a killed child ended well")
	}
	// The pipe ends when the last who could write to it is gone.
	if err := said.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := lines.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("the child's child lives: %v", err)
	}
}

func TestWhatDoesNotStart(t *testing.T) {
	if _, err := process.Start(exec.Command("/no/such/program")); err == nil {
		t.Error("it started")
	}
}
