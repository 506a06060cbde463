// Kafka runs one Apache Kafka broker on loopback, for people and Makefiles:
//
//	go run ./test/kafka/cmd/kafka -port 9092 -dir data/kafka
//
// It prints "ready 127.0.0.1:9092" and stops on Ctrl-C. Without -dir the data
// goes when it stops. With -jars it only prints the folder of the broker's jars.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	kafkatest "github.com/leat-io/leat/test/kafka"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "kafka:", err)
		os.Exit(1)
	}
}

func run() error {
	var opts kafkatest.Options
	flag.StringVar(&opts.Dir, "dir", "", "folder for data, configuration and log (default: a temporary one)")
	flag.IntVar(&opts.Port, "port", 9092, "port to listen on; 0 for a free one")
	jvm := flag.String("jvm", "", "flags of the Java machine, for example -Xmx1g (default: a small one that starts fast)")
	jars := flag.Bool("jars", false, "print the folder of the broker's jars, fetching them where missing, and end")
	flag.Parse()
	opts.JVM = strings.Fields(*jvm)

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *jars {
		dir, err := kafkatest.Jars(ctx)
		fmt.Println(dir)
		return err
	}
	b, err := kafkatest.Start(ctx, opts)
	if err != nil {
		return err
	}
	defer b.Close()
	fmt.Println("ready", b.Addr())
	<-ctx.Done()
	return nil
}
