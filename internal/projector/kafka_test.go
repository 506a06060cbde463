package projector

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/devkafka"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/projector/logtest"
	"github.com/leat-io/leat/internal/projector/views"
	"github.com/leat-io/leat/internal/store"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

const patience = 20 * time.Second

// cluster is a broker, and a router's pen.
type cluster struct {
	t      *testing.T
	kafka  kafka.Config
	client *kgo.Client // transactional
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	broker, err := devkafka.Start(devkafka.Options{RetentionInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = broker.Close() })
	client, err := kgo.NewClient(kgo.SeedBrokers(broker.Addr()), kgo.TransactionalID("router"), kgo.ProducerLinger(0),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MetadataMinAge(10*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &cluster{t: t, kafka: kafka.Config{Brokers: []string{broker.Addr()}}, client: client}
}

const partitions = 3

// deploy makes the topics of a type and its definition.
func (c *cluster) deploy(workflowType string) {
	c.t.Helper()
	admin := logtest.Must(kafka.NewAdmin(c.kafka))
	defer admin.Close()
	if err := admin.Provision(c.t.Context(), 1, append(logtest.Names.Shared(), logtest.Names.Type(workflowType, partitions)...)...); err != nil {
		c.t.Fatal(err)
	}
	deployer := logtest.Must(kafka.NewProducer(c.kafka))
	defer deployer.Close()
	if err := deployer.Send(c.t.Context(), kafka.NewRecord(logtest.Names.Definitions(), []byte(workflowType+"@1"),
		logtest.Must(avro.EncodeDefinition(&events.DefinitionRecord{
			WorkflowType: workflowType, Version: 1, Partitions: partitions, DeployedAt: logtest.Began,
			Source: fmt.Sprintf("leat: v1\ntype: %s\nversion: 1\ninitial: open\nstates:\n  open: {on: {pay: paid}}\n  paid: {type: final}\n", workflowType),
		})))); err != nil {
		c.t.Fatal(err)
	}
}

// commit writes records in one transaction, or aborts it.
func (c *cluster) commit(commit bool, records ...*kgo.Record) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	if err := c.client.BeginTransaction(); err != nil {
		c.t.Fatal(err)
	}
	if err := c.client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		c.t.Fatal(err)
	}
	if err := c.client.EndTransaction(ctx, kgo.TransactionEndTry(commit)); err != nil {
		c.t.Fatal(err)
	}
}

// step is what a router writes of one decision.
func step(workflowType string, id events.UUID, sequence int64, edit func(*events.Snapshot)) []*kgo.Record {
	s := logtest.Snapshot(workflowType, id, sequence, edit)
	key := []byte(id.String())
	p := topics.Partition(key, partitions)
	return []*kgo.Record{
		{Topic: logtest.Names.Events(workflowType), Partition: p, Key: key, Value: logtest.Must(avro.EncodeEvent(logtest.Event(workflowType, id, sequence)))},
		{Topic: logtest.Names.State(workflowType), Partition: p, Key: key, Value: logtest.Must(avro.EncodeSnapshot(s))},
		{Topic: logtest.Names.State(workflowType), Partition: p, Key: []byte(events.CheckpointKey), Value: logtest.Must(avro.EncodeCheckpoint(
			&events.Checkpoint{Partition: p, NextOffset: sequence, Source: "router", Timestamp: logtest.Began}))},
	}
}

// running is a projector under Run.
type running struct {
	*Projector
	t    *testing.T
	stop func()
}

func (c *cluster) project(dir string, edit func(*Config)) *running {
	c.t.Helper()
	config := Config{Kafka: c.kafka, Dir: dir}
	if edit != nil {
		edit(&config)
	}
	p, err := New(config)
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	r := &running{Projector: p, t: c.t}
	r.stop = func() {
		r.stop = func() {}
		cancel()
		if err := <-ended; err != nil {
			c.t.Error(err)
		}
	}
	c.t.Cleanup(func() { r.stop() })
	r.until("ready", func() bool { return p.Ready() == nil })
	return r
}

// until waits for a condition.
func (r *running) until(what string, met func() bool) {
	r.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !met() {
		select {
		case <-tick.C:
		case <-deadline.C:
			r.t.Fatalf("not %s in %s: %v", what, patience, r.Ready())
		}
	}
}

func (r *running) ask(method, path, body string, header ...string) *httptest.ResponseRecorder {
	return (&still{Projector: r.Projector, t: r.t}).ask(method, path, body, header...)
}

func (r *running) content() string {
	r.live.RLock()
	defer r.live.RUnlock()
	return contentOf(r.t, r.live.db)
}

func (r *running) fresh(workflowType string, id events.UUID, sequence int64) {
	r.t.Helper()
	for _, view := range []string{"", "/history"} {
		w := r.ask("GET", fmt.Sprintf("/api/v1/instances/%s/%s%s?wait=20s&min_sequence=%d", workflowType, id, view, sequence), "")
		if w.Code != http.StatusOK {
			r.t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
}

func TestProjectorFollowsRestartsAndRebuilds(t *testing.T) {
	c := startCluster(t)
	c.deploy("order")
	for n := range 10 {
		c.commit(true, step("order", logtest.ID(n), 1, nil)...)
	}
	c.commit(false, step("order", logtest.ID(0), 2, nil)...) // aborted: never happened

	dir := t.TempDir()
	p := c.project(dir, nil)
	for n := range 10 {
		p.fresh("order", logtest.ID(n), 1) // Ready means that it is there
	}
	if w := p.ask("GET", fmt.Sprintf("/api/v1/instances/order/%s", logtest.ID(0)), ""); w.Header().Get("Leat-Sequence") != "1" {
		t.Fatalf("an aborted event is seen: %s", w.Body)
	}

	// Garbage from elsewhere holds nothing up.
	c.commit(true, &kgo.Record{Topic: logtest.Names.State("order"), Key: []byte("x"), Value: []byte("{}")},
		&kgo.Record{Topic: logtest.Names.Events("order"), Key: []byte("x"), Value: []byte("{}")})
	for n := range 10 {
		c.commit(true, step("order", logtest.ID(n), 2, keyed(fmt.Sprint("key-", n)))...)
	}
	for n := range 10 {
		p.fresh("order", logtest.ID(n), 2)
	}
	p.until("counting what was skipped", func() bool { return p.skipped.Load() == 2 })

	// A type that is deployed later is followed without a restart.
	c.deploy("quake")
	c.commit(true, step("quake", logtest.ID(1), 1, nil)...)
	p.fresh("quake", logtest.ID(1), 1)

	live := p.content()
	p.stop()
	if err := p.Ready(); err == nil {
		t.Error("ready after its end")
	}
	if got := c.project(dir, nil).content(); got != live {
		t.Errorf("after a restart: %s, before: %s", got, live)
	}
	if got := c.project("", nil).content(); got != live {
		t.Errorf("a rebuild: %s, live: %s", got, live)
	}
}

func TestStoreAheadOfTheLogIsRebuilt(t *testing.T) {
	c := startCluster(t)
	c.deploy("order")
	c.commit(true, step("order", logtest.ID(1), 1, nil)...)
	dir := t.TempDir()
	p := c.project(dir, nil)
	want := p.content()
	p.stop()

	admin := logtest.Must(kafka.NewAdmin(c.kafka))
	cluster := logtest.Must(admin.Ping(t.Context()))
	admin.Close()
	db := logtest.Must(store.Open(store.Options{Dir: dir, Layout: views.Layout, Identity: cluster}))
	source := views.Source{Type: "order", State: true}
	l := &logtest.Log{Topic: logtest.Names.State("order"), Records: make([]*kafka.Record, 1000)}
	l.Snapshot(logtest.Snapshot("order", logtest.ID(2), 9, nil)) // at offset 1000, which the log does not have
	record := l.Records[1000]
	at := map[kafka.TopicPartition]views.Position{{Topic: l.Topic}: views.Position{}.Behind(record)}
	logtest.Must((&views.Folder{DB: db}).Fold([]views.Change{logtest.Must(views.Decode(source, record))}, at))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	rebuilt := 0
	p = c.project(dir, func(c *Config) { c.Metrics.Rebuilt = func() { rebuilt++ } })
	if got := p.content(); got != want || rebuilt != 1 {
		t.Errorf("rebuilt %d times: %s, want %s", rebuilt, got, want)
	}
}

func TestCommands(t *testing.T) {
	c := startCluster(t)
	c.deploy("order")
	p := c.project("", nil)
	send := func(path, body, idempotencyKey string) (a Accepted) {
		t.Helper()
		w := p.ask("POST", "/api/v1/instances/order"+path, body, "Idempotency-Key", idempotencyKey)
		if w.Code != http.StatusAccepted {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
			t.Fatal(err)
		}
		return a
	}
	first, again := send("", `{"input":{"a":1}}`, "once"), send("", `{"input":{"a":1}}`, "once")
	if first.CommandID != again.CommandID || first.InstanceID != again.InstanceID || again.Offset != first.Offset+1 {
		t.Errorf("the same request named %+v and %+v", first, again)
	}
	if a, b := send("", `{}`, ""), send("", `{}`, ""); a.InstanceID == b.InstanceID || a.CommandID == b.CommandID {
		t.Errorf("two starts are one: %+v", a)
	}
	send("", `{"key":"o-1","input":[1]}`, "")
	signal := send("/o-1/signals", `{"event":"pay","data":{"b":2},"expected_sequence":3}`, "")
	if want := events.InstanceIDForKey("order", "o-1"); signal.InstanceID != want {
		t.Errorf("signal went to %s, want %s", signal.InstanceID, want)
	}

	reader := logtest.Must(kafka.NewReader(c.kafka))
	defer reader.Close()
	var found []string
	if err := reader.ReadAll(t.Context(), logtest.Names.Commands("order"), func(r *kafka.Record) error {
		command, err := avro.ParseCommand(r.Value)
		if err != nil {
			return err
		}
		if string(r.Key) != command.InstanceID.String() || r.Partition != topics.Partition(r.Key, partitions) {
			t.Errorf("record of %s has key %s on partition %d", command.InstanceID, r.Key, r.Partition)
		}
		if command.Command == events.CommandSignal {
			found = append(found, fmt.Sprint(command.Event, string(command.Payload), *command.ExpectedSequence))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(found, " "); got != `pay{"b":2}3` {
		t.Errorf("signals on the topic: %s", got)
	}
}

func TestStatus(t *testing.T) {
	c := startCluster(t)
	c.deploy("order")
	c.commit(true, step("order", logtest.ID(1), 1, nil)...)
	p := c.project("", nil)
	var s struct {
		Ready      bool              `json:"ready"`
		Lag        int64             `json:"lag"`
		Partitions []PartitionStatus `json:"partitions"`
	}
	w := p.ask("GET", "/api/v1/status", "")
	if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil || !s.Ready || s.Lag != 0 || len(s.Partitions) != 2*partitions {
		t.Errorf("%v: %s", err, w.Body)
	}
	if w := p.ask("GET", "/api/v1/definitions", ""); !strings.Contains(w.Body.String(), `"workflow_type":"order"`) {
		t.Errorf("definitions: %s", w.Body)
	}
}
