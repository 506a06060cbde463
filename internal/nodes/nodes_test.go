package nodes_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/goleak"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/nodes"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/spi/node"
	"github.com/leat-io/leat/pkg/spi/spitest"
	"github.com/leat-io/leat/pkg/topics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is the time, moved by a test.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

func newBroker(t *testing.T) nodes.Config {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	c := nodes.Config{Kafka: kafka.Config{Brokers: cluster.ListenAddrs()}}
	if os.Getenv("LEAT_TEST_LOG") != "" {
		c.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	return c
}

// follow runs an own view of the nodes until the test ends.
func follow(t *testing.T, c nodes.Config) *nodes.Nodes {
	t.Helper()
	n := nodes.New(c)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	wait(t, "the nodes are read", func() bool { return n.Ready() == nil })
	return n
}

func wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); kafka.Pause(t.Context(), 5*time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func TestCompliance(t *testing.T) {
	spitest.TestNodes(t, func(t *testing.T) spitest.Nodes {
		t.Helper()
		c, ticks := newBroker(t), new(clock)
		c.Clock = ticks.now
		n := follow(t, c)
		return spitest.Nodes{Registrar: n, Discovery: n, Assigner: n, Advance: ticks.advance}
	})
}

func record(id string) events.NodeRecord {
	return events.NodeRecord{
		NodeID: id, Types: []events.NodeType{events.NodeCompute, events.NodeEffect}, Capabilities: []string{"gpu"},
		Queues: []string{"train"}, Capacity: map[string]int64{"gpu": 1},
	}
}

// start runs an agent until the test ends or stop is called.
func start(t *testing.T, n *nodes.Nodes, r events.NodeRecord) (a *nodes.Agent, stop func(), ended <-chan error) {
	t.Helper()
	a, err := nodes.NewAgent(n, r, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done, out := make(chan struct{}), make(chan error, 1)
	go func() { defer close(done); out <- a.Run(ctx) }()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return a, stop, out
}

func ids(t *testing.T, n *nodes.Nodes) string {
	t.Helper()
	list, err := n.WorkflowNodes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for i := range list {
		fmt.Fprintf(&text, "%s:%s ", list[i].NodeID, list[i].Health)
	}
	return text.String()
}

// One process learns of the nodes of another, and of their going, at once.
func TestNodesComeAndGo(t *testing.T) {
	c := newBroker(t)
	there, here := follow(t, c), follow(t, c)
	a, stop, _ := start(t, there, record("a"))
	wait(t, "the node is known elsewhere", func() bool { return ids(t, here) == "a:healthy " })
	k := a.Key()
	if !a.Holds(k) || a.Ready() != nil {
		t.Errorf("a node that has just registered does not hold its place: %v", a.Ready())
	}
	stop()
	wait(t, "the node is gone elsewhere", func() bool { return ids(t, here) == "" })
	if a.Holds(k) {
		t.Error("a node that has stopped still holds its place")
	}
	if late := here.UpdateNodeHeartbeat(t.Context(), "a", k.Incarnation, node.Load{}); !errors.Is(late, node.ErrGone) {
		t.Errorf("a late beat: got %v, want ErrGone", late)
	}
}

// Of two workers under one id the one that came first has to end.
func TestTheSecondUnderAnIDReplacesTheFirst(t *testing.T) {
	c := newBroker(t)
	_, _, ended := start(t, follow(t, c), record("a"))
	here := follow(t, c)
	wait(t, "the first is there", func() bool { return ids(t, here) == "a:healthy " })
	second, _, _ := start(t, here, record("a"))
	if err := <-ended; !errors.Is(err, nodes.ErrReplaced) {
		t.Fatalf("the first ended with %v, want ErrReplaced", err)
	}
	wait(t, "the second is there", func() bool { return second.Ready() == nil && here.Has(second.Key()) })
}

// A node whose record somebody deletes comes back as another incarnation: whoever
// took it for gone is right.
func TestANodeThatWasGivenUpRegistersAnew(t *testing.T) {
	c := newBroker(t)
	n := follow(t, c)
	a, _, _ := start(t, n, record("a"))
	var joined []node.Key
	a.OnJoin(func(k node.Key) { joined = append(joined, k) })
	wait(t, "the node is there", func() bool { return a.Ready() == nil })
	first := a.Key()
	if err := n.DeregisterWorkflowNode(t.Context(), "a", first.Incarnation); err != nil {
		t.Fatal(err)
	}
	wait(t, "it is there again", func() bool { return a.Key() != first && a.Ready() == nil && n.Has(a.Key()) })
	if n.Has(first) || a.Holds(first) {
		t.Error("what was given up is there as well")
	}
}

// A node that is killed is unhealthy after 15 s and given up after 30 s, by one
// router or another, and so for whoever comes later.
func TestSilentNodesAreSwept(t *testing.T) {
	c, ticks := newBroker(t), new(clock)
	c.Clock, c.Sweep = ticks.now, true
	n := follow(t, c)
	follow(t, c) // a second router
	r := record("a")
	r.Incarnation = events.DeriveUUID(events.Namespace, "a/1")
	r.StartedAt, r.BeatAt = time.Now(), time.Now()
	if _, err := n.RegisterWorkflowNode(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	ticks.advance(node.MissedUnhealthy * node.BeatEvery)
	if got := ids(t, n); got != "a:unhealthy " {
		t.Fatalf("after three missed beats: %q", got)
	}
	ticks.advance(node.MissedUnhealthy * node.BeatEvery)
	wait(t, "its record is deleted", func() bool { return !n.Has(node.Key{NodeID: "a", Incarnation: r.Incarnation}) })
	late := c
	late.Sweep = false
	fresh := follow(t, late)
	if got := ids(t, fresh); got != "" {
		t.Errorf("whoever comes later sees %q", got)
	}
}

// Whoever comes later does not take the last words of a node for news, and a late
// beat is deleted again: it would revive the node for those who come after it.
func TestALateBeatRevivesNobodyForThoseWhoComeLater(t *testing.T) {
	c, ticks := newBroker(t), new(clock)
	c.Clock, c.Sweep = ticks.now, true
	n := follow(t, c)
	k := node.Key{NodeID: "a", Incarnation: events.DeriveUUID(events.Namespace, "a/1")}
	r := record("a")
	r.Incarnation, r.StartedAt, r.BeatAt = k.Incarnation, time.Now(), time.Now()
	if _, err := n.RegisterWorkflowNode(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if err := n.DeregisterWorkflowNode(t.Context(), "a", k.Incarnation); err != nil {
		t.Fatal(err)
	}
	r.Beat = 7
	write(t, c, "a", encode(t, r))
	end := int64(4) // registration, tombstone, beat, tombstone
	wait(t, "the late beat is deleted", func() bool { return endOf(t, c) >= end })
	late := c
	late.Sweep = false
	if got := ids(t, follow(t, late)); got != "" {
		t.Errorf("whoever comes later sees %q", got)
	}
}

func encode(t *testing.T, r events.NodeRecord) []byte {
	t.Helper()
	value, err := avro.EncodeNode(&r)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func write(t *testing.T, c nodes.Config, key string, value []byte) {
	t.Helper()
	p, err := kafka.NewProducer(c.Kafka)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Send(t.Context(), kafka.NewRecord(topics.Names{}.Nodes(), []byte(key), value)); err != nil {
		t.Fatal(err)
	}
}

func endOf(t *testing.T, c nodes.Config) int64 {
	t.Helper()
	r, err := kafka.NewReader(c.Kafka)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	end, err := r.End(t.Context(), kafka.TopicPartition{Topic: topics.Names{}.Nodes()})
	if err != nil {
		t.Fatal(err)
	}
	return end
}

// Whatever anybody writes to the topic, the nodes of others stay known.
func TestGarbageHarmsNobody(t *testing.T) {
	c := newBroker(t)
	unread := 0
	c.Metrics.Unread = func() { unread++ }
	n := follow(t, c)
	a, _, _ := start(t, n, record("a"))
	wait(t, "the node is there", func() bool { return a.Ready() == nil })
	good := record("b")
	good.Incarnation, good.StartedAt, good.BeatAt = a.Key().Incarnation, time.Now(), time.Now()
	value := encode(t, good)
	for _, bad := range []struct {
		key   string
		value []byte
	}{
		{"a", []byte("garbage")},
		{"a", []byte{}},
		{"a", value},
		{"", value},
		{"b\n", value},
		{"b", value[:len(value)-3]},
		{"b", append(value, 0)},
		{"never there", nil},
	} {
		write(t, c, bad.key, bad.value)
	}
	write(t, c, "b", value)
	wait(t, "what stands behind the garbage is known", func() bool { return ids(t, n) == "a:healthy b:healthy " })
	if unread != 7 {
		t.Errorf("%d records were unreadable, want 7", unread)
	}
}

// A worker whose clock is wrong is as healthy as any other, and nobody who comes
// later is misled.
func TestClocksOfWorkersDoNotCount(t *testing.T) {
	c := newBroker(t)
	for name, skew := range map[string]time.Duration{"past": -100 * time.Hour, "future": 100 * time.Hour} {
		wrong := c
		wrong.Clock = func() time.Time { return time.Now().Add(skew) }
		start(t, follow(t, wrong), record(name))
	}
	n := follow(t, c)
	wait(t, "both are healthy", func() bool { return ids(t, n) == "future:healthy past:healthy " })
	if got := ids(t, follow(t, c)); got != "future:healthy past:healthy " {
		t.Errorf("whoever comes later sees %q", got)
	}
}
