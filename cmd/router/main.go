// Router decides what follows from every command and writes the history: a worker of which
// one, two or many run against the same Kafka.
//
// Its flags, variables and metrics are those of internal/boot; router --help lists
// them.
package main

import "github.com/leat-io/leat/internal/boot"

func main() { boot.Main(boot.Router()) }
