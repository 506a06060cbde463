//go:build unix

package once

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// The points at which a relay kills the executor that started it.
const (
	firstByte = "first byte" // one byte of the call has reached the server, and no more will
	written   = "written"    // the server has the call
	effect    = "effect"     // the server has answered, and the executor does not know
	answered  = "answered"   // the executor has the answer
)

// The environment of a relay.
const (
	relayEnv = "LEAT_TEST_RELAY" // the point, or "none"
	callsEnv = "LEAT_TEST_CALLS" // a file that gets a line for each call
)

// relay is what this test binary is when it stands between an executor and a server:
// its arguments are the server's command.
func relay(command []string) error {
	server := exec.Command(command[0], command[1:]...)
	server.Env, server.Stderr = []string{}, os.Stderr
	in, err := server.StdinPipe()
	if err != nil {
		return err
	}
	out, err := server.StdoutPipe()
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	r := &serverRelay{point: os.Getenv(relayEnv), called: make(chan struct{})}
	go r.answers(out) // it ends with the server
	if err := r.calls(in); err != nil {
		return err
	}
	_ = in.Close()
	return server.Wait()
}

// serverRelay is such a relay.
type serverRelay struct {
	point  string
	called chan struct{} // closed when the call has passed
}

func kill() {
	_ = syscall.Kill(os.Getppid(), syscall.SIGKILL)
	select {} // the executor's end is that of its group
}

// calls carries what the executor writes.
func (r *serverRelay) calls(to io.Writer) error {
	from := bufio.NewReader(os.Stdin)
	for {
		line, err := from.ReadBytes('\n')
		if err != nil {
			return nil //nolint:nilerr // the executor is gone, or wants no more
		}
		if !bytes.Contains(line, []byte(`"tools/call"`)) {
			if _, err := to.Write(line); err != nil {
				return err
			}
			continue
		}
		if err := note(); err != nil {
			return err
		}
		if r.point == firstByte {
			_, _ = to.Write(line[:1])
			kill()
		}
		close(r.called) // first: its answer comes behind
		if _, err := to.Write(line); err != nil {
			return err
		}
		if r.point == written {
			kill()
		}
	}
}

// note says that there was a call.
func note() error {
	f, err := os.OpenFile(os.Getenv(callsEnv), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, "call")
	return errors.Join(err, f.Close())
}

// answers carries what the server writes.
func (r *serverRelay) answers(from io.Reader) {
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		over := false
		select {
		case <-r.called:
			over = bytes.Contains(line, []byte(`"result"`)) || bytes.Contains(line, []byte(`"error"`))
		default:
		}
		if over && r.point == effect {
			kill()
		}
		_, _ = os.Stdout.Write(line)
		if over && r.point == answered {
			kill()
		}
	}
}
