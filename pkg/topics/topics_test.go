package topics_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

var update = flag.Bool("update", false, "rewrite testdata")

// Every topic as it is made. A change of a count, a key or a cleanup policy is
// a change of every installation, and shows here.
func TestTopics(t *testing.T) {
	var b strings.Builder
	for _, n := range []topics.Names{{}, {Prefix: "prod."}} {
		fmt.Fprintf(&b, "# prefix %q\n", n.Prefix)
		for _, specs := range [][]topics.Spec{n.Type("order", topics.DefaultPartitions), n.Queue("payments", topics.DevPartitions), n.Shared()} {
			for _, s := range specs {
				fmt.Fprintf(&b, "%s\n  partitions %d, key %s, %s -> %s\n", s.Name, s.Partitions, s.Key, s.Writers, s.Readers)
				for _, name := range slices.Sorted(maps.Keys(s.Config())) {
					fmt.Fprintf(&b, "  %s=%s%s\n", name, s.Config()[name], verified(s, name))
				}
			}
		}
	}
	const golden = "testdata/topics.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("-want +got (rewrite with go test ./pkg/topics -update):\n%s", diff)
	}
}

func verified(s topics.Spec, name string) string {
	if slices.Contains(s.Verified(), name) {
		return " (verified)"
	}
	return ""
}

// What is verified is configured, or it could not be compared.
func TestVerifiedIsConfigured(t *testing.T) {
	var n topics.Names
	for _, s := range slices.Concat(n.Type("order", 1), n.Queue("payments", 1), n.Shared()) {
		for _, name := range s.Verified() {
			if s.Config()[name] == "" {
				t.Errorf("%s: %s is verified and not configured", s.Name, name)
			}
		}
	}
}

func TestCommandsEventsAndStateShareTheirPartitions(t *testing.T) {
	for _, s := range (topics.Names{}).Type("order", 7)[:3] {
		if s.Partitions != 7 {
			t.Errorf("%s has %d", s.Name, s.Partitions)
		}
	}
}

// No two legal types, and no type and a topic of the engine, share a topic,
// not even for Kafka, which takes dots and underscores for the same. Every name
// is legal.
func TestTopicsOfTypesAreTheirOwn(t *testing.T) {
	legal := regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)
	workflowType := rapid.StringMatching(`[a-z][a-z0-9_-]{0,20}`)
	rapid.Check(t, func(t *rapid.T) {
		n := topics.Names{Prefix: rapid.SampledFrom([]string{"", "prod."}).Draw(t, "prefix")}
		a := workflowType.Draw(t, "a")
		b := a + rapid.SampledFrom([]string{"_commands", "_state", "_outcomes", "_dlq", "2"}).Draw(t, "suffix")
		if events.CheckWorkflowType("a", a) != nil || events.CheckWorkflowType("b", b) != nil {
			return
		}
		seen := map[string]string{}
		for _, s := range slices.Concat(n.Type(a, 1), n.Type(b, 1), n.Shared()) {
			if !legal.MatchString(s.Name) {
				t.Fatalf("%q is not a topic name", s.Name)
			}
			same := strings.ReplaceAll(s.Name, "_", ".")
			if other, taken := seen[same]; taken {
				t.Fatalf("%s and %s are one for Kafka", s.Name, other)
			}
			seen[same] = s.Name
		}
	})
}

func TestTypeOfCommandsIsTheWayBack(t *testing.T) {
	for _, n := range []topics.Names{{}, {Prefix: "prod."}} {
		if got, ok := n.TypeOfCommands(n.Commands("order")); !ok || got != "order" {
			t.Errorf("got %q, %v", got, ok)
		}
		for _, topic := range []string{n.Events("order"), n.State("order"), n.Tasks("order"), "x." + n.Commands("order"), ""} {
			if got, ok := n.TypeOfCommands(topic); ok {
				t.Errorf("%s is of commands of %q", topic, got)
			}
		}
	}
}

func TestQueueOf(t *testing.T) {
	for name, want := range map[string]string{"payments.charge": "payments", "a.b.c": "a", "charge": "charge", "": ""} {
		if got := topics.QueueOf(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func ExampleNames() {
	var n topics.Names
	fmt.Println(n.Commands("order"), n.Events("order"), n.State("order"), n.Tasks("payments"))
	fmt.Println(topics.Names{Prefix: "prod."}.DeadLetters("prod.workflow.order.commands"))
	// Output:
	// workflow.order.commands workflow.order workflow.order.state tasks.payments
	// prod.dlq.workflow.order.commands
}
