//go:build synctests

package sim

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

func setting(name string, otherwise uint64) uint64 {
	if n, err := strconv.ParseUint(os.Getenv(name), 10, 64); err == nil {
		return n
	}
	return otherwise
}

func verbose() bool { return os.Getenv("LEAT_SIM_LOG") != "" }

// TestSim runs LEAT_SIM_SEEDS histories, from seed LEAT_SIM_SEED0 on.
func TestSim(t *testing.T) {
	seeds, first := setting("LEAT_SIM_SEEDS", 10), setting("LEAT_SIM_SEED0", 1)
	seen, began := newCoverage(), time.Now()
	for seed := first; seed < first+seeds; seed++ {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			defer watch(seed)()
			synctest.Test(t, func(t *testing.T) { history(t, seed, seen) })
			if t.Failed() {
				t.Logf("run this one again with: LEAT_SIM_SEED0=%d LEAT_SIM_SEEDS=1 go test ./test/sim", seed)
			}
		})
	}
	if seeds >= gateFrom && !t.Failed() {
		for _, what := range seen.missing() {
			t.Errorf("in %d histories there was no %s: they prove nothing about it", seeds, what)
		}
	}
	took := time.Since(began)
	t.Logf("%d histories in %s (%.2f a second)\n%s", seeds, took.Round(time.Millisecond), float64(seeds)/took.Seconds(), seen)
}

// gateFrom is how many histories must show every kind of fault.
const gateFrom = 20

// watch ends the process when a history stands still: virtual time moves only
// while every goroutine waits for something that testing/synctest can see.
func watch(seed uint64) (stop func()) {
	timer := time.AfterFunc(time.Duration(setting("LEAT_SIM_WATCH", 60))*time.Second, func() {
		fmt.Fprintf(os.Stderr, "seed %d stands still\n%s\n", seed, stacks())
		os.Exit(3)
	})
	return func() { timer.Stop() }
}

func stacks() string {
	all := make([]byte, 32<<20)
	return string(all[:runtime.Stack(all, true)])
}

// history is one run in virtual time.
func history(t *testing.T, seed uint64, seen *coverage) {
	t.Helper()
	began := time.Now()
	w := newWorld(t, seed, seen)
	defer w.close()
	for _, s := range w.routers {
		w.startRouter(s)
	}
	w.startExecutor()
	w.startProjector()
	w.network.setRough(float64(w.rng.IntN(4)) / 2)

	asking, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	asked := make(chan error, 1)
	go func() { asked <- w.customers(asking, 24) }()
	w.torment()
	if err := <-asked; err != nil {
		t.Fatal(err)
	}
	books, err := w.awaitQuiet(t.Context())
	if err != nil {
		t.Error(err)
	}
	if books != nil {
		for _, wrong := range w.audit(t.Context(), books) {
			t.Error(wrong)
		}
		seen.addN("instances", len(books.events))
		for _, list := range books.events {
			seen.addN("events", len(list))
		}
	}
	seen.addN("virtual seconds", int(time.Since(began).Seconds()))
}
