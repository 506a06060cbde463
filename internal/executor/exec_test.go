//go:build unix

package executor

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// sh runs a script as a program would be run; tests may use a shell.
func sh(t *testing.T, script string) Handler {
	t.Helper()
	h, err := Program{Argv: []string{"/bin/sh", "-c", script}, Grace: 100 * time.Millisecond}.Handler()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestProgram(t *testing.T) {
	t.Setenv("LEAT_TEST_SECRET", "hidden")
	for _, c := range []struct {
		name, script, want, code, message string
		retryable                         bool
	}{
		{name: "input and result", script: `cat`, want: `{"n":1}`},
		{name: "nothing", script: `true`, want: ``},
		{name: "identity", script: `echo "\"$LEAT_ATTEMPT $LEAT_IDEMPOTENCY_KEY $LEAT_TEST_SECRET\""`, want: `"2 idem "`},
		{name: "retryable", script: `echo out of luck >&2; exit 3`, code: CodeExit, retryable: true, message: "exit status 3: out of luck"},
		{name: "terminal", script: `exit 65`, code: CodeExit, message: "exit status 65"},
		{name: "not JSON", script: `echo hello`, code: CodeResult, message: "not JSON"},
		{name: "too much", script: `head -c 300000 /dev/zero`, code: CodeResult, message: "more than"},
		{name: "long complaint", script: `head -c 9000 /dev/zero | tr '\0' x >&2; echo end >&2; exit 1`, code: CodeExit, retryable: true, message: "xend"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := sh(t, c.script)(t.Context(), &events.Task{Attempt: 2, IdempotencyKey: "idem", Input: []byte(`{"n":1}`)})
			if string(got) != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			var failure *events.Error
			if errors.As(err, &failure) != (c.code != "") {
				t.Fatalf("got %v", err)
			}
			if failure != nil && (failure.Code != c.code || failure.Retryable != c.retryable || !strings.Contains(failure.Message, c.message) || failure.Validate() != nil) {
				t.Errorf("got %+v", failure)
			}
		})
	}
}

func TestProgramEndsWithItsChildren(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "mark")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := sh(t, `(trap '' TERM; sleep 2; echo alive > `+mark+`) & sleep 30`)(ctx, &events.Task{})
	if err == nil || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	if took := time.Since(began); took > 1500*time.Millisecond {
		t.Fatalf("it took %s", took)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Fatal("the child went on")
	}
}

// A child that holds the standard output open does not change what the program
// was: it ended, its output is there, its exit code counts.
func TestProgramEndsWhenItEnds(t *testing.T) {
	for _, c := range []struct{ name, script, want, code string }{
		{"completed", `sleep 30 & echo '{"ok":1}'`, `{"ok":1}`, ""},
		{"without output", `sleep 30 & true`, ``, ""},
		{"holds standard error", `sleep 30 >/dev/null & echo 1`, `1`, ""},
		{"ignores signals", `(trap '' TERM HUP; sleep 30) & echo 1`, `1`, ""},
		{"failed", `sleep 30 & echo no >&2; exit 3`, ``, CodeExit},
		{"does not read its input", `exec 0<&-; echo 1`, `1`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			got, err := sh(t, c.script)(ctx, &events.Task{Input: bytes.Repeat([]byte("1"), 200_000)})
			var failure *events.Error
			if errors.As(err, &failure) != (c.code != "") || failure != nil && failure.Code != c.code {
				t.Fatalf("got %v", err)
			}
			if string(got) != c.want {
				t.Fatalf("got %q", got)
			}
		})
	}
}

func TestProgramMustExist(t *testing.T) {
	if _, err := (Program{Argv: []string{"no-such-program-here"}}).Handler(); err == nil {
		t.Fatal("no error")
	}
}
