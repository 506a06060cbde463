// Payment_processing is a saga: reserve, charge, ship, and undo all of it when a
// step fails. payment_processing.yaml is the workflow, handlers.go its tasks.
package main

import (
	_ "embed"

	"github.com/leat-io/leat/examples/internal/batch"
)

//go:embed payment_processing.yaml
var definition []byte

func main() { batch.Main(example()) }

func example() batch.Batch {
	return batch.Batch{
		Name: "payment_processing", About: "a saga that undoes what it did, newest first",
		File: "payment_processing.yaml", Source: definition,
		Instances: orders, Handle: handle,
		Ends: []batch.End{
			{State: "shipped", Meaning: "reserved, charged and on its way"},
			{State: "out_of_stock", Meaning: "nothing was done"},
			{State: "card_declined", Meaning: "the stock was released"},
			{State: "not_shippable", Meaning: "the money went back, then the stock was released"},
		},
	}
}
