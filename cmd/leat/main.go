// Leat is the front door: it starts everything on one machine (leat dev),
// deploys definitions, starts and signals workflows, and shows what state they
// are in. All of it is in internal/cli.
package main

import (
	"os"

	"github.com/leat-io/leat/internal/cli"
)

func main() { os.Exit(cli.Main()) }
