// Package cli is the command line of leat: the root of the commands, and what
// holds for all of them (settings, arguments, errors, exit codes). Each noun has a
// package below. They hold no logic of workflows: they call pkg/client,
// internal/definition and internal/boot.
//
// Data goes to standard output, talk to standard error; the exit code says what
// kind of problem there was (see internal/problem).
package cli

import (
	"context"
	"errors"
	"os"

	"github.com/leat-io/leat/internal/boot"
	"github.com/leat-io/leat/internal/cli/session"
	"github.com/leat-io/leat/internal/problem"
)

// Main runs the program with the arguments, streams and signals of the process,
// and returns its exit code.
func Main() int {
	programs := new(boot.Programs)
	ctx, stop := boot.Signals(context.Background(), programs)
	defer stop()
	return run(ctx, os.Args[1:], session.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Environ: os.Environ()}, programs)
}

// run is the whole program without the process; it returns the exit code.
// programs are those of leat dev that end with the process, nil for none.
func run(ctx context.Context, args []string, streams session.Streams, programs *boot.Programs) int {
	s := session.New(streams, programs)
	root := newRoot(s)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return problem.ExitOK
	}
	p := toProblem(err)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return problem.ExitInterrupted
	}
	s.Print.Problem(p)
	return p.Exit()
}
