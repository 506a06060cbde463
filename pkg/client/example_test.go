package client_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/leat-io/leat/pkg/client"
)

// What this program and the definition of the workflow "order" have agreed upon.
type (
	Order  struct{ Amount int }
	Parcel struct{ Carrier string }
	Paid   struct {
		Amount  int    `json:"amount"`
		Carrier string `json:"carrier"`
	}
)

// Start a workflow, tell it that something happened, and wait for its result.
func Example() {
	brokers, stop := engine() // yours is there already, for instance at localhost:9092
	defer stop()
	ctx := context.Background()

	c, err := client.New(client.Config{Brokers: brokers})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	run, err := c.Start(ctx, client.StartRequest{Type: "order", Key: "order-42", Input: Order{Amount: 12}})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := run.Signal(ctx, "shipped", Parcel{Carrier: "drone"}); err != nil {
		fmt.Println(err)
		return
	}
	var paid Paid
	err = run.Result(ctx, &paid)
	var ended *client.WorkflowError
	switch {
	case errors.As(err, &ended):
		fmt.Println("the order ended", ended.State, ended.Code, ended.Message)
	case err != nil:
		fmt.Println(err) // the result is not known; the workflow goes on
	default:
		fmt.Println(paid.Amount, "paid, sent by", paid.Carrier)
	}
	// Output: 12 paid, sent by drone
}
