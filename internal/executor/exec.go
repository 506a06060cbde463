package executor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/leat-io/leat/internal/process"
	"github.com/leat-io/leat/pkg/events"
)

// What a program says with its exit code besides 0, which means completed.
const (
	// ExitTerminal is a failure that must not be retried (EX_DATAERR of sysexits).
	ExitTerminal = 65

	// CodeExit is the code of a program's failure, CodeProgram that of a program
	// that could not be run at all.
	CodeExit    = "EXIT"
	CodeProgram = "PROGRAM"
)

// Bounds of what a program may say, in bytes.
const (
	maxStderr = 4 << 10
	maxStdout = events.MaxPayloadLength
)

// Program runs a program for each task: the input on its standard input, its
// standard output is the result, both JSON. The task's identity is in LEAT_*
// variables. Exit code 0 is completed, 65 a final failure, any other a failure
// that may be retried; the end of its standard error is the message. Output that
// is neither empty nor JSON is a final failure.
//
// Each line of JSON that the program writes to file descriptor 3 is the details
// of a heartbeat (see [Heartbeat]). LEAT_HEARTBEAT_DETAILS holds those that the
// earlier attempts left; without any, it is not set. Only on Unix.
type Program struct {
	// Argv is the program and its arguments, as the operator configured them. It
	// never goes through a shell and holds nothing of a task.
	Argv []string
	Dir  string   // working directory; "" is that of the executor
	Env  []string // "NAME=value", besides PATH, HOME, TMPDIR, LANG and LEAT_*
	// Grace is how long the program gets between being asked to stop (SIGTERM to
	// its process group) and being killed; default 5 s.
	Grace time.Duration
	// Running is notified of what runs; nil for none.
	Running *Programs
}

// Handler is the [Handler] that runs p.
func (p Program) Handler() (Handler, error) {
	if len(p.Argv) == 0 || p.Argv[0] == "" {
		return nil, errors.New("exec: there is no program to run")
	}
	path, err := exec.LookPath(p.Argv[0])
	if err != nil {
		return nil, fmt.Errorf("exec: %w", err)
	}
	if p.Grace <= 0 {
		p.Grace = 5 * time.Second
	}
	return func(ctx context.Context, task *events.Task) (json.RawMessage, error) { return p.run(ctx, path, task) }, nil
}

func (p Program) run(ctx context.Context, path string, task *events.Task) (json.RawMessage, error) {
	cmd := exec.CommandContext(ctx, path, p.Argv[1:]...) //nolint:gosec // argv is the operator's own
	cmd.Args[0] = p.Argv[0]
	cmd.Dir, cmd.Env = p.Dir, append(append(baseEnv(), p.Env...), taskEnv(task)...)
	cmd.WaitDelay = p.Grace
	stdout, stderr, told := &head{most: maxStdout}, &tail{most: maxStderr}, &beats{ctx: ctx}
	err := p.play(cmd, inputOf(task), stdout, stderr, told)
	told.finish(stderr)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return p.result(stdout)
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%s was stopped: %w", p.Argv[0], context.Cause(ctx))
	case errors.As(err, &exit):
		return nil, &events.Error{Code: CodeExit, Retryable: exit.ExitCode() != ExitTerminal, Message: p.failed(exit, stderr)}
	default:
		return nil, &events.Error{Code: CodeProgram, Retryable: true, Message: events.Cut(err.Error(), events.MaxMessageLength)}
	}
}

// leftOpen is how long what has left the program's group may hold its output open.
const leftOpen = 500 * time.Millisecond

// play runs the program to its end, ends what is left of its group, and only then
// takes the last of what was written: a child that holds standard output open
// does not make a program last that has ended.
func (p Program) play(cmd *exec.Cmd, input []byte, stdout, stderr, told io.Writer) error {
	var pipe pipes
	defer pipe.close(leftOpen)
	out, err := pipe.take(stdout)
	if err != nil {
		return err
	}
	complaints, err := pipe.take(stderr)
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = out, complaints
	if err := hearBeats(cmd, &pipe, told); err != nil {
		return err
	}
	if err := pipe.feed(cmd, bytes.NewReader(input)); err != nil {
		return err
	}
	g, err := process.NewGroup()
	if err != nil {
		return err
	}
	defer g.End()
	if err := g.Start(cmd); err != nil {
		return err
	}
	p.Running.enlist(g)
	defer p.Running.dismiss(g)
	pipe.started()
	return cmd.Wait()
}

// result is what the program wrote.
func (p Program) result(stdout *head) (json.RawMessage, error) {
	if stdout.over {
		return nil, &events.Error{Code: CodeResult, Message: fmt.Sprintf("%s wrote more than %d bytes", p.Argv[0], maxStdout)}
	}
	out := bytes.TrimSpace(stdout.buf.Bytes())
	if len(out) == 0 {
		return nil, nil
	}
	if !json.Valid(out) {
		return nil, &events.Error{Code: CodeResult, Message: events.Cut(fmt.Sprintf("%s wrote what is not JSON: %.200q", p.Argv[0], out), events.MaxMessageLength)}
	}
	return out, nil
}

func (p Program) failed(exit *exec.ExitError, stderr *tail) string {
	message := fmt.Sprintf("%s ended with %s", p.Argv[0], exit.ProcessState)
	if text := bytes.TrimSpace(stderr.buf); len(text) > 0 {
		room := max(0, events.MaxMessageLength-len(message)-2)
		message += ": " + events.CutHead(string(text), room)
	}
	return events.Cut(message, events.MaxMessageLength)
}

// baseEnv is what a program needs to run at all. The executor's own environment
// may hold secrets and is not handed on.
func baseEnv() []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "LANG"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

func taskEnv(t *events.Task) []string {
	env := []string{
		"LEAT_TASK_ID=" + t.TaskID.String(), "LEAT_TASK_NAME=" + t.TaskName, "LEAT_ATTEMPT=" + strconv.Itoa(int(t.Attempt)),
		"LEAT_IDEMPOTENCY_KEY=" + t.IdempotencyKey, "LEAT_WORKFLOW_TYPE=" + t.WorkflowType,
		"LEAT_INSTANCE_ID=" + t.InstanceID.String(), "LEAT_INSTANCE_KEY=" + t.InstanceKey,
		"LEAT_INVOCATION=" + t.Invocation, "LEAT_CORRELATION_ID=" + t.CorrelationID.String(),
	}
	if t.HeartbeatDetails != nil {
		env = append(env, detailVariable+"="+string(t.HeartbeatDetails))
	}
	return env
}

func inputOf(t *events.Task) []byte {
	if t.Input == nil {
		return []byte("null")
	}
	return t.Input
}

// head keeps the first bytes that are written and remembers that there were more.
type head struct {
	buf  bytes.Buffer
	most int
	over bool
}

func (h *head) Write(b []byte) (int, error) {
	keep := min(len(b), h.most-h.buf.Len())
	h.buf.Write(b[:keep])
	h.over = h.over || keep < len(b)
	return len(b), nil
}

// tail keeps the last bytes that are written.
type tail struct {
	buf  []byte
	most int
}

func (t *tail) Write(b []byte) (int, error) {
	t.buf = append(t.buf, b...)
	if extra := len(t.buf) - t.most; extra > 0 {
		t.buf = append(t.buf[:0], t.buf[extra:]...)
	}
	return len(b), nil
}
