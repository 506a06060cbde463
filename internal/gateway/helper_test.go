package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/goleak"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/rest"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// bench is a broker in memory with the topics of workflow type "order" and queue
// "pay", and what gateways wrote to the commands topic.
type bench struct {
	t        *testing.T
	config   kafka.Config
	cluster  *kfake.Cluster
	names    topics.Names
	producer *kafka.Producer
	tasks    int
	finished sync.WaitGroup

	mu      sync.Mutex
	reports []events.Command
	changed chan struct{}
}

func newBench(t *testing.T) *bench {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	b := &bench{t: t, cluster: cluster, changed: make(chan struct{}), config: kafka.Config{Brokers: cluster.ListenAddrs()}}
	b.provision(append(b.names.Type("order", 1), b.names.Queue("pay", 1)...))
	if b.producer, err = kafka.NewProducer(b.config); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	fetcher, err := kafka.NewFetcher(b.config)
	if err != nil {
		t.Fatal(err)
	}
	fetcher.Add(kafka.TopicPartition{Topic: b.names.Commands("order")}, 0)
	b.finished.Go(func() { b.collect(ctx, fetcher) })
	t.Cleanup(func() {
		cancel()
		b.finished.Wait()
		fetcher.Close()
		b.producer.Close()
	})
	return b
}

func (b *bench) provision(specs []topics.Spec) {
	b.t.Helper()
	admin, err := kafka.NewAdmin(b.config)
	if err != nil {
		b.t.Fatal(err)
	}
	defer admin.Close()
	if err := admin.Provision(b.t.Context(), -1, specs...); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) collect(ctx context.Context, f *kafka.Fetcher) {
	for ctx.Err() == nil {
		records, _ := f.Poll(ctx, 1000)
		b.mu.Lock()
		for _, r := range records {
			c, err := avro.ParseCommand(r.Value)
			if err != nil {
				b.t.Errorf("a report cannot be read: %v", err)
				continue
			}
			b.reports = append(b.reports, c)
		}
		close(b.changed)
		b.changed = make(chan struct{})
		b.mu.Unlock()
	}
}

// until waits for the nth report of a kind.
func (b *bench) until(kind events.CommandType, n int) events.Command {
	b.t.Helper()
	deadline := time.After(patience)
	for {
		b.mu.Lock()
		var of []events.Command
		for _, c := range b.reports {
			if c.Command == kind {
				of = append(of, c)
			}
		}
		changed := b.changed
		b.mu.Unlock()
		if len(of) >= n {
			return of[n-1]
		}
		select {
		case <-changed:
		case <-deadline:
			b.t.Fatalf("there are %d reports of kind %s, want %d", len(of), kind, n)
		}
	}
}

func (b *bench) said(kind events.CommandType) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.reports {
		if c.Command == kind {
			n++
		}
	}
	return n
}

// issue writes tasks as the router would.
func (b *bench) issue(edits ...func(*events.Task)) {
	b.t.Helper()
	for _, edit := range edits {
		b.tasks++
		id := events.DeriveUUID(events.Namespace, fmt.Sprint(b.t.Name(), b.tasks))
		t := &events.Task{
			TaskID: id, TaskName: "pay.charge", Queue: "pay", TaskType: events.TaskEffect, NodeType: events.NodeEffect,
			WorkflowType: "order", InstanceID: events.InstanceIDForKey("order", strconv.Itoa(b.tasks)), InstanceKey: strconv.Itoa(b.tasks),
			Invocation: "pay", Attempt: 1, IdempotencyKey: "key-" + id.String(), Input: []byte(`{"amount":3}`), Token: "secret-of-the-attempt",
			Priority: events.PriorityNormal, Semantics: events.Await, Delivery: events.AtLeastOnce,
			ScheduledAt: events.Instant(time.Now()), CorrelationID: id, CausationID: id,
		}
		if edit != nil {
			edit(t)
		}
		value, err := avro.EncodeTask(t)
		if err != nil {
			b.t.Fatal(err)
		}
		if err := b.producer.Send(b.t.Context(), kafka.NewRecord(b.names.Tasks(t.Queue), []byte(t.TaskID.String()), value)); err != nil {
			b.t.Fatal(err)
		}
	}
}

// server is a gateway that runs, behind an address.
type server struct {
	*bench
	gateway *Gateway
	url     string
	token   string
	stop    func() error
}

func (b *bench) serve(edit func(*Config)) *server {
	b.t.Helper()
	c := Config{Kafka: b.config, Names: b.names, NodeID: "gate", DrainTimeout: 100 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(b.t.Output(), nil))}
	if edit != nil {
		edit(&c)
	}
	g, err := New(c)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	web := httptest.NewServer(g.Handler())
	s := &server{bench: b, gateway: g, url: web.URL, token: c.Token, stop: sync.OnceValue(func() error { cancel(); return <-done })}
	b.t.Cleanup(func() {
		if err := s.stop(); err != nil {
			b.t.Error(err)
		}
		web.Close()
	})
	b.eventually("the gateway runs", func() bool { return g.Ready() == nil })
	return s
}

func (b *bench) eventually(what string, ok func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(patience); !ok(); {
		if time.Now().After(deadline) {
			b.t.Fatal("not in time: " + what)
		}
		kafka.Pause(b.t.Context(), 2*time.Millisecond)
	}
}

// post asks the gateway and gives the status and the body.
func (s *server) post(ctx context.Context, path, body string) (int, string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/v1/queues/"+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("Content-Type", "application/json")
	if s.token != "" {
		r.Header.Set("Authorization", "Bearer "+s.token)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = answer.Body.Close() }()
	var text bytes.Buffer
	_, err = text.ReadFrom(answer.Body)
	return answer.StatusCode, text.String(), err
}

// say posts and wants the status.
func (s *server) say(status int, path, body string) string {
	s.t.Helper()
	got, text, err := s.post(s.t.Context(), path, body)
	if err != nil || got != status {
		s.t.Fatalf("%s %.200s: got %d %s (%v), want %d", path, body, got, text, err, status)
	}
	return text
}

// refused posts and wants a problem.
func (s *server) refused(status int, code, detail, path, body string) {
	s.t.Helper()
	var p rest.Problem
	text := s.say(status, path, body)
	if err := json.Unmarshal([]byte(text), &p); err != nil || string(p.Code) != code || !strings.Contains(p.Detail, detail) || p.Fix == "" {
		s.t.Errorf("%s %.200s: got %s (%v), want %s with %q", path, body, text, err, code, detail)
	}
}

// poll takes tasks until there are n.
func (s *server) poll(n int) (tasks []Task) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); len(tasks) < n; {
		if time.Now().After(deadline) {
			s.t.Fatalf("only %d tasks came, want %d", len(tasks), n)
		}
		tasks = append(tasks, s.pollOnce(n-len(tasks), "5s")...)
	}
	return tasks
}

func (s *server) pollOnce(most int, wait string) []Task {
	s.t.Helper()
	var out Polled
	if err := json.Unmarshal([]byte(s.say(http.StatusOK, "pay/poll", fmt.Sprintf(`{"max_tasks":%d,"wait":%q}`, most, wait))), &out); err != nil {
		s.t.Fatal(err)
	}
	return out.Tasks
}

func leaseOf(t Task) string { return `{"lease":"` + t.Lease + `"}` }
