package spitest_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/leat-io/leat/internal/memory"
	"github.com/leat-io/leat/internal/spi/spitest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const partitions = 4

// patience is how long a case may wait for what a broken implementation never does.
const patience = 500 * time.Millisecond

// A breakage is an implementation that breaks promises, and the case that finds
// the one that it is about.
type breakage[Setup any] struct {
	name  string
	of    func(Setup) Setup
	found string
}

// Every breakage is found by its case, and every case finds one: no promise is
// only written down.
func expectFound[Setup any](t *testing.T, cases []spitest.Case[Setup], breakages []breakage[Setup], open func(t *testing.T) Setup) {
	t.Helper()
	for _, c := range cases {
		if !slices.ContainsFunc(breakages, func(b breakage[Setup]) bool { return b.found == c.Name }) {
			t.Errorf("no broken implementation is found by case %s", c.Name)
		}
	}
	for _, b := range breakages {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			at := slices.IndexFunc(cases, func(c spitest.Case[Setup]) bool { return c.Name == b.found })
			if at < 0 {
				t.Fatalf("there is no case %s", b.found)
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := cases[at].Run(ctx, b.of(open(t))); err == nil {
				t.Errorf("%s did not find it", b.found)
			} else {
				t.Log(err)
			}
		})
	}
}

func openBus(t *testing.T) spitest.EventBusSetup {
	t.Helper()
	b := memory.NewEventBus()
	b.CreateTopic("things", partitions)
	t.Cleanup(b.Close)
	return spitest.EventBusSetup{Bus: b, Topic: "things", Partitions: partitions}
}

func openWorkflow(t *testing.T) spitest.WorkflowSetup {
	t.Helper()
	w := memory.NewWorkflow()
	w.Deploy("ledger", partitions, nil)
	w.MaxReplay = 50
	t.Cleanup(w.Close)
	return spitest.WorkflowSetup{Bus: w, Store: w, Snapshots: w, Type: "ledger", Partitions: partitions, MaxReplay: 50}
}

// A suite can run outside of a test, as here, where only output is compared.
func ExampleEventBusCases() {
	b := memory.NewEventBus()
	defer b.Close()
	b.CreateTopic("things", partitions)
	ctx, cancel := context.WithTimeout(context.Background(), spitest.CaseTimeout)
	defer cancel()
	first := spitest.EventBusCases()[0]
	fmt.Println(first.Name, first.Run(ctx, spitest.EventBusSetup{Bus: b, Topic: "things", Partitions: partitions}))
	// Output: PublishTellsWhereTheMessageIs <nil>
}
