// Fsm measures one decision of Leat's interpreter beside other state machines and
// prints JSON lines: a flat chart of five states with a guard and an assignment
// beside qmuntal/stateless and looplab/fsm, a parallel and a history chart beside
// XState on node, and how the cost grows with regions and with the past.
//
// Every side takes its turn in each round, so that other load on the machine meets
// all of them; a line has the least of the rounds. It is not for judging the other
// libraries: they keep a state in memory, while Leat's Step takes a whole
// instance and gives back a new one with all that has to be recorded.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"math"
	"os"
	"syscall"
	"testing"
	"time"
)

// side is one contender of a comparison: op does one decision.
type side struct {
	name string
	op   func()
}

type line struct {
	Chart  string  `json:"chart"`
	Side   string  `json:"side"`
	NsOp   float64 `json:"ns_per_op"`
	Allocs float64 `json:"allocs_per_op,omitempty"`
	Ratio  float64 `json:"leat_over_this,omitempty"` // time of Leat over time of this side
	Per    float64 `json:"ns_per_region,omitempty"`
}

func main() {
	rounds := flag.Int("rounds", 5, "turns of each side; a line has the least")
	turn := flag.Duration("turn", 100*time.Millisecond, "length of one turn")
	xstate := flag.String("xstate", "", "directory where npm has installed xstate; empty: leave it out")
	flag.Parse()
	if err := run(*rounds, *turn, *xstate); err != nil {
		slog.New(slog.NewTextHandler(os.Stderr, nil)).Error("bench", "error", err)
		os.Exit(1)
	}
}

func run(rounds int, turn time.Duration, xstate string) error {
	out := json.NewEncoder(os.Stdout)
	flat := []side{{"leat", leat(flatChart, "go")}, {"qmuntal/stateless", statelessFlat()}, {"looplab/fsm", looplabFlat()}}
	times := least(flat, rounds, turn)
	for i, s := range flat {
		if err := out.Encode(line{Chart: "flat", Side: s.name, NsOp: times[i], Allocs: testing.AllocsPerRun(1000, s.op), Ratio: ratio(times, i)}); err != nil {
			return err
		}
	}
	if err := besideXState(out, rounds, turn, xstate); err != nil {
		return err
	}
	return curves(out, rounds, turn)
}

func ratio(times []float64, i int) float64 {
	if i == 0 {
		return 0
	}
	return math.Round(100*times[0]/times[i]) / 100
}

// least is the least time of an operation of each side, in nanoseconds.
func least(sides []side, rounds int, turn time.Duration) []float64 {
	best := make([]float64, len(sides))
	for round := range rounds {
		for i, s := range sides {
			ns := once(s.op, turn)
			if round == 0 || ns < best[i] {
				best[i] = ns
			}
		}
	}
	return best
}

// once runs op for a while and gives the time of one.
func once(op func(), turn time.Duration) float64 {
	const batch = 256
	begin, spent, count := time.Now(), processorTime(), 0
	for time.Since(begin) < turn {
		for range batch {
			op()
		}
		count += batch
	}
	return math.Round(float64(processorTime()-spent) / float64(count))
}

// processorTime is what this process has used, the collector included: other load
// on the machine moves it less than the clock.
func processorTime() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// besideXState compares where node is.
func besideXState(out *json.Encoder, rounds int, turn time.Duration, directory string) error {
	charts := map[string]func(){"parallel": leat(parallelChart, "go"), "history": leat(historyChart, "out", "back")}
	for _, name := range []string{"parallel", "history"} {
		sides := []side{{"leat", charts[name]}}
		ours := least(sides, rounds, turn)
		if err := out.Encode(line{Chart: name, Side: "leat", NsOp: ours[0], Allocs: testing.AllocsPerRun(1000, charts[name])}); err != nil {
			return err
		}
		if directory == "" {
			continue
		}
		theirs, err := node(context.Background(), directory, name, rounds, turn)
		if err != nil {
			return err
		}
		again := least(sides, rounds, turn)[0]
		ours[0] = min(ours[0], again)
		if err := out.Encode(line{Chart: name, Side: "xstate", NsOp: theirs, Ratio: ratio([]float64{ours[0], theirs}, 1)}); err != nil {
			return err
		}
	}
	return nil
}

// curves show that cost grows with the active regions alone.
func curves(out *json.Encoder, rounds int, turn time.Duration) error {
	for _, n := range []int{1, 2, 4, 8, 16, 32, 64} {
		op := leat(regions(n), "go")
		ns := least([]side{{"leat", op}}, rounds, turn)[0]
		if err := out.Encode(line{Chart: fmt.Sprintf("regions %d", n), Side: "leat", NsOp: ns, Allocs: testing.AllocsPerRun(200, op), Per: math.Round(ns / float64(n))}); err != nil {
			return err
		}
	}
	for _, n := range []int{0, 1000, 100_000} {
		op := leat(flatChart, "go")
		for range n {
			op()
		}
		ns := least([]side{{"leat", op}}, rounds, turn)[0]
		if err := out.Encode(line{Chart: fmt.Sprintf("flat after %d events", n), Side: "leat", NsOp: ns, Allocs: testing.AllocsPerRun(200, op)}); err != nil {
			return err
		}
	}
	return nil
}
