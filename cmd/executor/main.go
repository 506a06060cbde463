// Executor runs the tasks of workflows with the programs that --exec names.
//
// Its flags, variables and metrics are those of internal/boot; executor --help lists
// them.
package main

import "github.com/leat-io/leat/internal/boot"

func main() { boot.Main(boot.Executor()) }
