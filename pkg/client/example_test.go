package client_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
)

const definition = `leat: v1
type: order
version: 1
initial: open
states:
  open: {on: {pay: paid}}
  paid: {type: final}
`

func Example() {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1)) // a broker in memory; yours is at localhost:9092
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cluster.Close()

	c, err := client.New(client.Config{Brokers: cluster.ListenAddrs()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	ctx := context.Background()
	d, err := c.Deploy(ctx, client.DeployRequest{Name: "order.yaml", Source: []byte(definition), Partitions: 4})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("deployed", d.WorkflowType, d.Version)

	r, err := c.Start(ctx, client.StartRequest{Type: "order", Key: "order-42", Input: map[string]int{"amount": 12}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("accepted on", r.Receipt().Topic, r.InstanceID() == events.InstanceIDForKey("order", "order-42"))

	_, err = c.Start(ctx, client.StartRequest{Type: "ordre", Key: "order-42"})
	fmt.Println(errors.Is(err, client.ErrUnknownType), err)
	// Output:
	// deployed order 1
	// accepted on workflow.order.commands true
	// true no definition of workflow type "ordre" is deployed; did you mean order? deployed: order (leat def deploy FILE)
}
