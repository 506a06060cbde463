package client_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/leat-io/leat/pkg/client"
)

// open is a client of an engine, and what ends both.
func open() (c *client.Client, end func()) {
	brokers, stop := engine()
	c, err := client.New(client.Config{Brokers: brokers})
	if err != nil {
		panic(err)
	}
	return c, func() { c.Close(); stop() }
}

// A workflow that does not complete says why.
func ExampleWorkflowError() {
	c, end := open()
	defer end()
	ctx := context.Background()
	run, err := c.Start(ctx, client.StartRequest{Type: "order", Key: "order-43", Input: Order{Amount: 12}})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := run.Signal(ctx, "refused", nil); err != nil {
		fmt.Println(err)
		return
	}
	var ended *client.WorkflowError
	if err := run.Result(ctx, nil); errors.As(err, &ended) {
		fmt.Println(ended.State, ended.Code)
	}
	// Output: failed CARD_DECLINED
}

// Attach waits for a workflow that somebody else started.
func ExampleClient_Attach() {
	c, end := open()
	defer end()
	ctx := context.Background()
	if _, err := c.Send(ctx, client.StartRequest{Type: "order", Key: "order-44", Input: Order{Amount: 7}}); err != nil {
		fmt.Println(err)
		return
	}
	if _, err := c.Signal(ctx, client.SignalRequest{Type: "order", Key: "order-44", Event: "shipped", Data: Parcel{Carrier: "bike"}}); err != nil {
		fmt.Println(err)
		return
	}
	run, err := c.Attach(ctx, "order", "order-44")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(client.Result[Paid](ctx, run))
	// Output: {7 bike} <nil>
}

// Many runs are waited for without a goroutine for each.
func ExampleRun_AfterFunc() {
	c, end := open()
	defer end()
	ctx := context.Background()
	ended := make(chan *client.Run, 3)
	for i := range 3 {
		run, err := c.Start(ctx, client.StartRequest{Type: "order", Key: fmt.Sprint("order-", i), Input: Order{Amount: i}})
		if err != nil {
			fmt.Println(err)
			return
		}
		run.AfterFunc(func() { ended <- run })
		if err := run.Signal(ctx, "shipped", Parcel{Carrier: "van"}); err != nil {
			fmt.Println(err)
			return
		}
	}
	sum := 0
	for range 3 {
		paid, err := client.Result[Paid](ctx, <-ended)
		if err != nil {
			fmt.Println(err)
			return
		}
		sum += paid.Amount
	}
	fmt.Println("paid in all:", sum)
	// Output: paid in all: 3
}

// Do waits until a request is decided, and says why when it is refused.
func ExampleClient_Do() {
	c, end := open()
	defer end()
	ctx := context.Background()
	d, err := c.Do(ctx, client.StartRequest{Type: "order", Key: "order-45", Input: Order{Amount: 1}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("newest event:", d.Sequence(), "duplicate:", d.Duplicate())
	_, err = c.Do(ctx, client.SignalRequest{Type: "order", Key: "order-46", Event: "shipped"})
	fmt.Println("rejected:", errors.Is(err, client.ErrRejected))
	_, err = c.Do(ctx, client.StartRequest{Type: "ordre", Key: "order-45"})
	fmt.Println(err)
	// Output:
	// newest event: 2 duplicate: false
	// rejected: true
	// no definition of workflow type "ordre" is deployed; did you mean order? deployed: order (leat def deploy FILE)
}
