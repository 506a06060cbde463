// Leat-test-container runs a Kafka broker in a container for as long as its
// standard input is open:
//
//	go run -C test/containers . -image apache/kafka:4.3.1
//
// It prints "ready localhost:PORT" and removes the container at the end of its
// input, on Ctrl-C and on SIGTERM. The end of input comes even when the process
// that started it is killed, so a container does not outlive its test. With
// TESTCONTAINERS_RYUK_DISABLED=true nothing needs to be pulled besides the image.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	image := flag.String("image", "", "image of Apache Kafka or of Redpanda")
	flag.Parse()
	if err := run(*image); err != nil {
		fmt.Fprintln(os.Stderr, "leat-test-container:", err)
		os.Exit(1)
	}
}

func run(image string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// When the starter was killed nobody reads our output either. Go ends a program
	// that writes to a closed stderr, which would be before the container is gone.
	signal.Ignore(syscall.SIGPIPE)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	b, err := start(ctx, image)
	if err != nil {
		return err
	}
	fmt.Println("ready", b.addr)
	<-ctx.Done()
	return b.remove()
}
