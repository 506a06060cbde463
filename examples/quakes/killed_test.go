//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/leat-io/leat/examples/internal/ledger"
)

// within is how long the desk may take here: longer than a crash takes, on a slow
// machine too, or the crash would decide.
const within = "20s"

// The whole example as processes, killed in the middle: leat dev alone, then
// everything. Both end with the same table and the same effects.
func TestKilled(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs processes for half a minute")
	}
	bin := t.TempDir()
	build := exec.Command("go", "build", "-trimpath", "-o", bin+string(filepath.Separator), "./cmd/leat", "./examples/quakes")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Run("leat dev", func(t *testing.T) {
		t.Parallel()
		data := t.TempDir()
		run := begin(t, bin, data)
		inTheMiddle(t, run, data)
		text, err := os.ReadFile(filepath.Join(data, "kafka", "LOCK"))
		if err != nil {
			t.Fatal(err)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		check(t, run, data)
		if talk := run.Stderr.(*bytes.Buffer).String(); !strings.Contains(talk, "leat dev is back") {
			t.Errorf("it was not killed:\n%s", talk)
		}

		again := begin(t, bin, data)
		check(t, again, data)
		if talk := again.Stdout.(*bytes.Buffer).String(); !strings.Contains(talk, "\n0 started, 1,707 were already there.\n") || !strings.Contains(talk, "Nothing has changed") {
			t.Errorf("the second run says\n%s", talk)
		}
	})
	t.Run("everything", func(t *testing.T) {
		t.Parallel()
		data := t.TempDir()
		run := begin(t, bin, data)
		inTheMiddle(t, run, data)
		if err := run.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = run.Wait()
		check(t, begin(t, bin, data), data)
	})
}

func begin(t *testing.T, bin, data string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "quakes"), "run", "--once", "--data", data, "--review-within", within)
	cmd.Stdout, cmd.Stderr = new(bytes.Buffer), new(bytes.Buffer)
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// inTheMiddle returns when some effects have happened; most have not.
func inTheMiddle(t *testing.T, run *exec.Cmd, data string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if text, _ := os.ReadFile(filepath.Join(data, "out", "notify.jsonl")); bytes.Count(text, []byte("\n")) >= 5 {
			return
		}
	}
	_ = run.Process.Kill()
	_ = run.Wait()
	t.Fatalf("nothing happens\n%s", run.Stderr)
}

// check waits for the end, and looks at the table and the effects.
func check(t *testing.T, run *exec.Cmd, data string) {
	t.Helper()
	err := run.Wait()
	out := run.Stdout.(*bytes.Buffer).String()
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, run.Stderr)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var got Table
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &got); err != nil {
		t.Fatalf("the last line: %v\n%s", err, out)
	}
	if want := (Table{Dismissed: 28, Unreviewed: 456, Alerted: 88, Filed: 1135}); got != want {
		t.Errorf("%+v, want %+v\n%s%s", got, want, out, run.Stderr)
	}
	for _, name := range []string{"notify.jsonl", "map.jsonl", "publish.jsonl"} {
		keys, err := ledger.Keys(filepath.Join(data, "out", name))
		if err != nil {
			t.Error(err)
		}
		if len(keys) != got.Alerted {
			t.Errorf("%s: %d keys, want %d", name, len(keys), got.Alerted)
		}
		for key, n := range keys {
			if n != 1 {
				t.Errorf("%s: %s is there %d times", name, key, n)
			}
		}
	}
}
