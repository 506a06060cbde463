package client

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/leat-io/leat/internal/kafka"
)

func TestDeploy(t *testing.T) {
	c := newClient(t)
	if list, err := c.Definitions(t.Context()); err != nil || len(list) != 0 {
		t.Fatalf("got %v, %v", list, err)
	}
	two := strings.Replace(order, "version: 1", "version: 2", 1)
	for _, step := range []struct {
		name       string
		source     string
		partitions int32
		err        error
	}{
		{"first", order, 4, nil},
		{"again", order, 4, nil},
		{"again, without a count", order, 0, nil},
		{"changed", order + "# changed\n", 0, ErrDeployed},
		{"next version", two, 0, nil},
		{"other count", strings.Replace(order, "version: 1", "version: 3", 1), 8, ErrTopic},
		{"too many partitions", strings.Replace(order, "order", "parcel", 1), 513, ErrInvalid},
		{"fewer than none", order, -1, ErrInvalid},
		{"nonsense", "leat: v1\ntype: order\n", 0, ErrDefinition},
	} {
		d, err := c.Deploy(t.Context(), DeployRequest{Name: "order.yaml", Source: []byte(step.source), Partitions: step.partitions})
		if !errors.Is(err, step.err) || step.err == nil && (err != nil || d.Partitions != 4) {
			t.Fatalf("%s: got %+v, %v", step.name, d, err)
		}
	}
	list, err := c.Definitions(t.Context())
	if err != nil || len(list) != 2 || list[0].Version != 1 || list[1].Source != two {
		t.Fatalf("got %v, %v", list, err)
	}
	if d, err := c.Definition(t.Context(), "order", 0); err != nil || d.Version != 2 {
		t.Fatalf("got %v, %v", d, err)
	}
	if _, err := c.Definition(t.Context(), "order", 7); !errors.Is(err, ErrUnknownType) {
		t.Fatalf("got %v", err)
	}
	if _, err := c.Definition(t.Context(), "parcel", 0); !errors.Is(err, ErrUnknownType) {
		t.Fatalf("got %v", err)
	}
	admin, err := kafka.NewAdmin(c.kafka)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	specs := append(c.names.Type("order", 4), c.names.Queue("shipping", 4)...)
	if err := admin.Verify(t.Context(), specs...); err != nil {
		t.Fatal(err)
	}
}

// Child workflows and tasks of people are on no queue, and so without topics that
// nobody would read.
func TestDeployMakesTopicsOfQueuesAlone(t *testing.T) {
	c := newClient(t)
	const source = `leat: v1
type: mixed
version: 1
initial: a
states:
  a: {invoke: {task: shipping.send, onDone: b, onError: d}}
  b: {invoke: {human: {assignee: "'sam'"}, onDone: c, onError: d}}
  c: {invoke: {workflow: {type: other}, onDone: d, onError: d}}
  d: {type: final}
`
	if _, err := c.Deploy(t.Context(), DeployRequest{Name: "mixed.yaml", Source: []byte(source), Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	admin, err := kafka.NewAdmin(c.kafka)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	for queue, want := range map[string]int32{"shipping": 1, "human": 0, "workflow": 0} {
		if n, err := admin.Partitions(t.Context(), c.names.Tasks(queue)); err != nil || n != want {
			t.Errorf("the topic of queue %s has %d partitions, want %d (%v)", queue, n, want, err)
		}
	}
}

// What is deployed is there for the next deploy, whatever else the machine has to do:
// the first transaction of a client to a topic was aborted without an error when the
// client library had not yet stored what it knew of the topic (one in ten of these
// rounds with the race detector on a busy machine).
func TestWhatIsDeployedIsThere(t *testing.T) {
	for range 20 {
		c := newClient(t)
		for version := range 2 {
			source := strings.Replace(order, "version: 1", fmt.Sprint("version: ", version+1), 1)
			if _, err := c.Deploy(t.Context(), DeployRequest{Name: "order.yaml", Source: []byte(source), Partitions: 4}); err != nil {
				t.Fatal(err)
			}
		}
		if list, err := c.Definitions(t.Context()); err != nil || len(list) != 2 {
			t.Fatalf("got %d, %v", len(list), err)
		}
		c.Close()
	}
}
