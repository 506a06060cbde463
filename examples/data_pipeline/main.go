// Data_pipeline fans out and in: a week of real earthquakes in windows, each
// aggregated by region while it is archived, then merged and published.
// data_pipeline.yaml is the workflow, handlers.go its tasks.
package main

import (
	_ "embed"

	"github.com/leat-io/leat/examples/internal/batch"
)

//go:embed data_pipeline.yaml
var definition []byte

func main() { batch.Main(example()) }

func example() batch.Batch {
	return batch.Batch{
		Name: "data_pipeline", About: "fan out and fan in over a week of real earthquakes",
		File: "data_pipeline.yaml", Source: definition,
		Instances: windows, Handle: handle,
		Ends: []batch.End{
			{State: "published", Meaning: "aggregated, archived, merged and published"},
			{State: "empty", Meaning: "no quakes in the window"},
			{State: "rejected", Meaning: "a quake that is nowhere on Earth"},
		},
	}
}
