//go:build unix

package chaos

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
	"github.com/leat-io/leat/test/audit"
	kafkatest "github.com/leat-io/leat/test/kafka"
)

// example is what a program of examples/ must come to, with 50 instances.
type example struct {
	name string
	ends map[string]int
	// effects are the tasks that changed the world, in their order, and how many
	// instances did exactly these.
	effects map[string]int
	asked   int // how many tasks waited for a person
}

var examples = []example{
	{
		name: "user_onboarding",
		ends: map[string]int{"onboarded": 30, "never_confirmed": 10, "refused": 5, "address_taken": 5},
		effects: map[string]int{
			"accounts.create": 5, // and no more: refused

			"accounts.create accounts.grant mail.greet": 30,
			"accounts.create mail.confirm mail.remind":  10,
		},
		asked: 15,
	},
	{
		name: "data_pipeline",
		ends: map[string]int{"published": 48, "empty": 1, "rejected": 1},
		effects: map[string]int{ // warn and archive are in two regions: any order
			"pipeline.archive pipeline.publish": 25, "pipeline.archive pipeline.publish pipeline.warn": 23,
		},
	},
	{
		name: "payment_processing",
		ends: map[string]int{"shipped": 25, "out_of_stock": 5, "card_declined": 10, "not_shippable": 10},
		effects: map[string]int{
			"stock.reserve payments.charge shipping.ship":                 25,
			"stock.reserve stock.release":                                 10,
			"stock.reserve payments.charge payments.refund stock.release": 10,
		},
	},
}

// The three examples at once on a real Kafka, with a router that is killed while
// they run. Every instance ends where its input leads, every effect happens
// once, what failed is undone, and to run all of it again changes nothing.
func TestExamplesOutliveARouter(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: real processes on a real Kafka take a while")
	}
	brokers := kafkatest.Brokers(t)
	var histories []string
	for _, e := range examples {
		histories = append(histories, topics.Names{}.Events(e.name))
	}
	w := watch(t, brokers, histories...)
	if w.written() >= 0 {
		t.Skip("this Kafka has examples of an earlier run, nothing would happen")
	}
	rng := dice(t)
	dir, seeds := t.TempDir(), strings.Join(brokers, ",")
	router := func(slot string) *program {
		return start(t, "router", "--brokers", seeds, "--slot", slot, "--data", filepath.Join(dir, slot), "--ops-addr", "127.0.0.1:0")
	}
	run := func(e example) *program {
		return start(t, e.name, "--brokers", seeds, "--data", filepath.Join(dir, e.name), "--timeout", "90s", "--partitions", "4")
	}
	routers := []*program{router("router-0"), router("router-1")}
	began := time.Now()
	var programs []*program
	for _, e := range examples {
		programs = append(programs, run(e))
	}
	victim := routers[rng.IntN(2)]
	at := 100 + rng.Int64N(700) // of about 2,700 records
	got := w.await(at, programs[0])
	victim.Kill()
	t.Logf("killed %s after %v, with %d records of history (wanted %d)", victim.args[3], time.Since(began).Round(time.Millisecond), got, at)
	victim.launch()
	for i, e := range examples {
		e.check(t, dir, finish(t, w.ctx, programs[i]))
	}
	t.Logf("all finished after %v", time.Since(began).Round(time.Millisecond))
	for _, e := range examples {
		e.audit(w)
	}
	w = watch(t, brokers, histories...) // with patience of its own
	before := w.written()
	for i, e := range examples {
		programs[i] = run(e)
	}
	for i, e := range examples {
		e.check(t, dir, finish(t, w.ctx, programs[i]))
	}
	if after := w.written(); after != before {
		t.Errorf("the second run made histories longer: %d records, %d before", after, before)
	}
}

// check compares what the program says and what it did to the world.
func (e example) check(t *testing.T, dir, result string) {
	t.Helper()
	var got struct {
		Ends  map[string]int `json:"ends"`
		Odd   int            `json:"ended_elsewhere"`
		Count int            `json:"effects"`
	}
	if err := json.Unmarshal([]byte(result), &got); err != nil {
		t.Fatalf("%s: %q: %v", e.name, result, err)
	}
	if got.Odd != 0 || fmt.Sprint(got.Ends) != fmt.Sprint(e.ends) {
		t.Errorf("%s: %s, want %v", e.name, result, e.ends)
	}
	text, err := os.ReadFile(filepath.Join(dir, e.name, "out", "effects.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	did, keys := make(map[string][]string), make(map[string]bool)
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		var line struct {
			Key      string `json:"task_key"`
			Instance string
			Task     string
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatalf("%s: %q: %v", e.name, lines.Text(), err)
		}
		if keys[line.Key] {
			t.Errorf("%s: %s of %s happened twice", e.name, line.Task, line.Instance)
		}
		keys[line.Key] = true
		did[line.Instance] = append(did[line.Instance], line.Task)
	}
	effects := make(map[string]int)
	for _, tasks := range did {
		if e.name == "data_pipeline" {
			slices.Sort(tasks)
		}
		effects[strings.Join(tasks, " ")]++
	}
	if fmt.Sprint(effects) != fmt.Sprint(e.effects) {
		t.Errorf("%s did %v, want %v", e.name, effects, e.effects)
	}
}

// audit checks the laws of every history.
func (e example) audit(w *watcher) {
	w.t.Helper()
	want := 0
	for _, n := range e.ends {
		want += n
	}
	b, err := audit.Await(w.ctx, w.brokers, topics.Names{}, e.name, func(b *audit.Books) error {
		if n := b.Finished(); n != want {
			return fmt.Errorf("%d of %d have finished", n, want)
		}
		return nil
	})
	if err != nil {
		w.t.Fatalf("%s: %v", e.name, err)
	}
	answers := make(map[events.UUID]bool) // by task: a person may have said it twice, to a list that was older
	for i := range b.Commands {
		if r := b.Commands[i].Result; r != nil && r.NodeID == "sales" {
			answers[r.TaskID] = true
		}
	}
	if len(answers) != e.asked {
		w.t.Errorf("%s: people ended %d tasks, want %d", e.name, len(answers), e.asked)
	}
	for _, wrong := range b.Wrong() {
		w.t.Errorf("audit of %s: %s", e.name, wrong)
	}
	if len(b.Dead) > 0 {
		w.t.Errorf("dead letters of %s: %v", e.name, b.Dead)
	}
}
