// Command hello deploys a workflow, works for it, starts it, and prints its result.
package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"

	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/executor"
)

//go:embed hello.yaml
var definition []byte

func greet(_ context.Context, name string) (string, error) { return "Hello, " + name + "!", nil }

func hello(ctx context.Context, brokers ...string) (string, error) {
	w, err1 := executor.New(executor.Config{Brokers: brokers})
	c, err2 := client.New(client.Config{Brokers: brokers})
	if err := errors.Join(err1, err2); err != nil {
		return "", err
	}
	defer c.Close()
	if _, err := c.Deploy(ctx, client.DeployRequest{Name: "hello.yaml", Source: definition}); err != nil {
		return "", err
	}
	executor.Handle(w, "hello.greet", greet)
	go w.Run(ctx) //nolint:errcheck // it ends with the program
	run, err := c.Start(ctx, client.StartRequest{Type: "hello", Input: "Ada"})
	if err != nil {
		return "", err
	}
	return client.Result[string](ctx, run)
}

func main() {
	fmt.Println(hello(context.Background(), "localhost:9092")) // the Kafka of leat dev
}
