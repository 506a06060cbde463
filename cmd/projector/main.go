// Projector follows every workflow and answers queries over HTTP.
//
// Its flags, variables and metrics are those of internal/boot; projector --help lists
// them.
package main

import "github.com/leat-io/leat/internal/boot"

func main() { boot.Main(boot.Projector()) }
