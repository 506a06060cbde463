package client_test

import (
	"context"
	"os"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/router"
	"github.com/leat-io/leat/pkg/client"
)

// engine is a broker in memory and a router, with the definition of the how-to page.
func engine() (brokers []string, stop func()) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		panic(err)
	}
	brokers = cluster.ListenAddrs()
	source, err := os.ReadFile("../../docs/how-to/examples/paid-order.yaml")
	if err != nil {
		panic(err)
	}
	c, err := client.New(client.Config{Brokers: brokers})
	if err != nil {
		panic(err)
	}
	defer c.Close()
	if _, err := c.Deploy(context.Background(), client.DeployRequest{Name: "paid-order.yaml", Source: source, Partitions: 4}); err != nil {
		panic(err)
	}
	r, err := router.New(router.Config{Kafka: kafka.Config{Brokers: brokers}, Slot: "slot"})
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	return brokers, func() {
		cancel()
		if err := <-ended; err != nil {
			panic(err)
		}
		cluster.Close()
	}
}
