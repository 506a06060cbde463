package executor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// What a program knows about heartbeats: the descriptor that it writes their
// details to, and the details that an earlier attempt left.
const (
	beatDescriptor = 3 // the first of exec.Cmd.ExtraFiles
	beatVariable   = "LEAT_HEARTBEAT_FD"
	detailVariable = "LEAT_HEARTBEAT_DETAILS"
)

var errLongLine = errors.New("heartbeat: a line is longer")

// beats makes each line that a program writes the details of a heartbeat. Details
// are a help and not a fact: a line that cannot be kept is passed over, and err
// remembers why, for the message of a program that fails.
type beats struct {
	ctx  context.Context //nolint:containedctx // that of the attempt, as cmd's is
	line bytes.Buffer
	long bool // the line that is being read is too long, and passed over
	err  error
}

// Write takes what the program wrote. It never fails, so that the program is
// never stopped by a full pipe.
func (b *beats) Write(text []byte) (int, error) {
	for rest := text; len(rest) > 0; {
		part, next, ends := bytes.Cut(rest, []byte("\n"))
		b.add(part)
		if ends {
			b.end()
		}
		rest = next
	}
	return len(text), nil
}

func (b *beats) add(part []byte) {
	b.long = b.long || b.line.Len()+len(part) > MaxDetails
	if !b.long {
		b.line.Write(part)
	}
}

func (b *beats) end() {
	line := bytes.TrimSpace(b.line.Bytes())
	switch {
	case b.long:
		b.err = fmt.Errorf("%w than %d bytes: keep what is large elsewhere, and where in the details", errLongLine, MaxDetails)
	case len(line) > 0:
		if err := Heartbeat(b.ctx, bytes.Clone(line)); err != nil && b.ctx.Err() == nil {
			b.err = err
		}
	}
	b.line.Reset()
	b.long = false
}

// finish takes a last line without an end, and adds to what the program said why
// details were passed over.
func (b *beats) finish(stderr io.Writer) {
	b.end()
	if b.err != nil {
		_, _ = fmt.Fprintf(stderr, "\n(%s)", b.err)
	}
}
