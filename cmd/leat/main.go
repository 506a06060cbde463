// Leat is the front door: it starts everything on one machine (leat dev),
// deploys definitions, starts and signals workflows, and shows where they stand.
//
// Data goes to standard output, talk to standard error; the exit code says what
// kind of problem there was (see internal/problem). It holds no logic of
// workflows: it calls pkg/client, internal/definition and internal/boot.
package main

import (
	"context"
	"io"
	"os"

	"github.com/leat-io/leat/internal/boot"
)

func main() {
	programs := new(boot.Programs)
	ctx, stop := boot.Signals(context.Background(), programs)
	code := runKnown(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr, os.Environ()}, programs)
	stop()
	os.Exit(code)
}

// streams is everything that the program has of the world.
type streams struct {
	in      io.Reader
	out     io.Writer
	err     io.Writer
	environ []string
}
