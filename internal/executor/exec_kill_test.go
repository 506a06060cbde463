//go:build unix

package executor

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// asRunner makes the test binary a process that runs the script it names, and
// says nothing more: it is killed, or kills its programs when it is told to.
const asRunner = "LEAT_TEST_RUNS"

// TestRunner is no test: see asRunner.
func TestRunner(t *testing.T) {
	script, ok := os.LookupEnv(asRunner)
	if !ok {
		t.Skip("it is the process of another test")
	}
	running := new(Programs)
	h, err := Program{Argv: []string{"/bin/sh", "-c", script}, Running: running}.Handler()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = os.Stdin.Read(make([]byte, 1))
		running.Kill()
		os.Exit(130) // as the second interrupt does
	}()
	_, _ = h(context.Background(), &events.Task{})
}

// writers is a program with a child, and a child of that, which all write a
// file for as long as they live, whatever they are asked.
const writers = `trap '' TERM INT HUP QUIT
w() { while :; do echo x >> "$1"; sleep 0.01; done; }
w DIR/child & (w DIR/grandchild & w DIR/between) & w DIR/program`

func sizes(t *testing.T, dir string) (all [4]int64, everybody bool) {
	t.Helper()
	everybody = true
	for i, name := range []string{"program", "child", "between", "grandchild"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			everybody = false
			continue
		}
		all[i] = info.Size()
	}
	return all, everybody
}

// Whatever ends an executor ends the programs that it runs and all that they
// started, before their tasks can be given to another.
func TestProgramsEndWithTheirExecutor(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(runner *exec.Cmd, stdin interface{ Close() error }) error
	}{
		{"killed", func(runner *exec.Cmd, _ interface{ Close() error }) error { return runner.Process.Kill() }},
		{"told twice", func(_ *exec.Cmd, stdin interface{ Close() error }) error { return stdin.Close() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			runner := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRunner$")
			runner.Env = append(os.Environ(), asRunner+"="+strings.ReplaceAll(writers, "DIR", dir))
			stdin, err := runner.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := runner.Start(); err != nil {
				t.Fatal(err)
			}
			wait := func(what string, ok func() bool) {
				for deadline := time.Now().Add(20 * time.Second); !ok(); <-time.After(20 * time.Millisecond) {
					if time.Now().After(deadline) {
						t.Fatal(what)
					}
				}
			}
			wait("they do not write", func() bool { _, all := sizes(t, dir); return all })
			if err := c.end(runner, stdin); err != nil {
				t.Fatal(err)
			}
			_ = runner.Wait()
			var last [4]int64
			still := time.Now()
			wait("they go on writing", func() bool {
				if now, _ := sizes(t, dir); now != last {
					last, still = now, time.Now()
				}
				return time.Since(still) > time.Second
			})
		})
	}
}
