package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/devkafka"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/projector"
	"github.com/leat-io/leat/internal/router"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/executor"
	"github.com/leat-io/leat/pkg/topics"
	"github.com/leat-io/leat/test/audit"
	kafkatest "github.com/leat-io/leat/test/kafka"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(withBroker{m}) }

// withBroker runs the tests and then stops the broker that they shared.
type withBroker struct{ m *testing.M }

func (w withBroker) Run() int { return kafkatest.Main(w.m) }

const (
	partitions = 4
	patience   = 60 * time.Second // of every wait; a loaded machine needs some of it
)

// each runs a scenario on both brokers.
func each(t *testing.T, scenario func(w *world)) {
	t.Helper()
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		scenario(newWorld(t, embedded(t)))
	})
	t.Run("real", func(t *testing.T) {
		t.Parallel()
		if testing.Short() {
			t.Skip("-short: the real broker takes seconds to start")
		}
		scenario(newWorld(t, kafkatest.Brokers(t)))
	})
}

// embedded is a broker in memory of the test's own.
func embedded(t *testing.T) []string {
	t.Helper()
	b, err := devkafka.Start(devkafka.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return []string{b.Addr()}
}

// world is one engine: topics of its own on some broker, and what a test needs
// to start workers and to speak with them. Whatever it starts ends with the test.
type world struct {
	*testing.T
	ctx    context.Context //nolint:containedctx // the patience of one test
	kafka  kafka.Config
	names  topics.Names
	logger *slog.Logger
	direct *client.Client // reads the topics
	raw    *kafka.Producer
	types  []string // deployed, to be audited
}

func newWorld(t *testing.T, brokers []string) *world {
	t.Helper()
	h := fnv.New32a()
	_, _ = fmt.Fprint(h, t.Name(), time.Now().UnixNano())
	w := &world{
		T: t, kafka: kafka.Config{Brokers: brokers}, names: topics.Names{Prefix: fmt.Sprintf("t%08x.", h.Sum32())},
		logger: slog.New(slog.DiscardHandler),
	}
	if os.Getenv("LEAT_TEST_LOG") != "" {
		w.logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	var cancel context.CancelFunc
	w.ctx, cancel = context.WithTimeout(context.Background(), 2*patience)
	t.Cleanup(cancel)
	var err error
	if w.raw, err = kafka.NewProducer(w.kafka); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.raw.Close)
	w.direct = w.client("")
	return w
}

// client makes a client of the topics, or of a projector.
func (w *world) client(api string) *client.Client {
	w.Helper()
	transport := &http.Transport{}
	c, err := client.New(client.Config{
		Brokers: w.kafka.Brokers, Prefix: w.names.Prefix, API: api, HTTP: &http.Client{Transport: transport}, Logger: w.logger,
	})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { c.Close(); transport.CloseIdleConnections() })
	return c
}

// deploy deploys a definition.
func (w *world) deploy(source string) {
	w.Helper()
	d, err := w.direct.Deploy(w.ctx, client.DeployRequest{Name: "test.yaml", Source: []byte(source), Partitions: partitions})
	if err != nil {
		w.Fatal(err)
	}
	if !slices.Contains(w.types, d.WorkflowType) {
		w.types = append(w.types, d.WorkflowType)
	}
}

// audit waits until all is decided and done says so, and checks the laws of
// every type that was deployed. A test that decides anything ends with it.
func (w *world) audit(done ...func(*audit.Books) error) *audit.Books {
	w.Helper()
	var all *audit.Books
	for _, workflowType := range w.types {
		var until func(*audit.Books) error
		if len(done) > 0 {
			until = done[0]
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		b, err := audit.Await(ctx, w.kafka.Brokers, w.names, workflowType, until)
		cancel()
		if err != nil {
			w.Fatalf("%s: %v", workflowType, err)
		}
		for _, wrong := range b.Wrong() {
			w.Errorf("audit: %s", wrong)
		}
		all = b
	}
	return all
}

// finished says when n instances have finished.
func finished(n int) func(*audit.Books) error {
	return func(b *audit.Books) error {
		if got := b.Finished(); got < n {
			return fmt.Errorf("%d of %d instances have finished", got, n)
		}
		return nil
	}
}

// worker runs until it is stopped, or the test ends.
type worker struct {
	stop   func()             // in order, and waits
	cancel context.CancelFunc // in order
	done   chan struct{}      // closed when it has ended
	err    error              // once done is closed
	wire   *wire              // cut it to make a kill of a stop
}

// kill ends a worker as a crash does: nobody hears of it again. It does not wait
// for what is left of it.
func (k *worker) kill() {
	k.wire.cut()
	k.cancel()
}

func (w *world) run(wire *wire, run func(context.Context) error) *worker {
	w.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	k := &worker{done: make(chan struct{}), wire: wire, cancel: cancel}
	go func() {
		defer close(k.done)
		k.err = run(ctx)
	}()
	k.stop = sync.OnceFunc(func() {
		cancel()
		<-k.done
		if k.err != nil && !wire.dead() {
			w.Errorf("a worker ended with %v", k.err)
		}
	})
	w.Cleanup(k.stop)
	return k
}

// router starts a router. Slots name its place: give each its own.
func (w *world) router(slot string, edit ...func(*router.Config)) (*worker, *router.Router) {
	w.Helper()
	wire := &wire{}
	c := router.Config{Kafka: w.kafka, Names: w.names, Slot: slot, Logger: w.logger.With("slot", slot)}
	c.Kafka.Dial, c.Kafka.ClientID = wire.dial, slot
	for _, e := range edit {
		e(&c)
	}
	r, err := router.New(c)
	if err != nil {
		w.Fatal(err)
	}
	return w.run(wire, r.Run), r
}

// projector starts a projector and serves its API.
func (w *world) projector() (url string, p *projector.Projector) {
	w.Helper()
	p, err := projector.New(projector.Config{Kafka: w.kafka, Names: w.names, Logger: w.logger})
	if err != nil {
		w.Fatal(err)
	}
	k := w.run(&wire{}, p.Run)
	s := httptest.NewServer(p.Handler())
	w.Cleanup(func() { k.stop(); s.Close() }) // live streams end with the projector
	return s.URL, p
}

// executor starts an executor that runs handlers.
func (w *world) executor(handlers map[string]executor.Handler, edit ...func(*executor.Config)) *worker {
	w.Helper()
	c := executor.Config{Brokers: w.kafka.Brokers, Prefix: w.names.Prefix, Logger: w.logger}
	for _, e := range edit {
		e(&c)
	}
	e, err := executor.New(c)
	if err != nil {
		w.Fatal(err)
	}
	for name, h := range handlers {
		e.HandleTask(name, h)
	}
	return w.run(&wire{}, e.Run)
}

// say sends a command as JSON, keyed by its instance.
func (w *world) say(workflowType, key, format string, args ...any) {
	w.Helper()
	id := events.InstanceIDForKey(workflowType, key).String()
	w.send(kafka.NewRecord(w.names.Commands(workflowType), []byte(id), fmt.Appendf(nil, format, args...)))
}

func (w *world) send(records ...*kafka.Record) {
	w.Helper()
	if err := w.raw.Send(w.ctx, records...); err != nil {
		w.Fatal(err)
	}
}

// publish writes a definition record as it is, past what Deploy checks.
func (w *world) publish(workflowType string, version, count int32, source string) {
	w.Helper()
	value, err := avro.EncodeDefinition(&events.DefinitionRecord{
		WorkflowType: workflowType, Version: version, Source: source, Partitions: count, DeployedAt: time.Now(),
	})
	if err != nil {
		w.Fatal(err)
	}
	w.send(kafka.NewRecord(w.names.Definitions(), fmt.Appendf(nil, "%s@%d", workflowType, version), value))
}

// provision makes topics.
func (w *world) provision(specs ...topics.Spec) {
	w.Helper()
	admin, err := kafka.NewAdmin(w.kafka)
	if err != nil {
		w.Fatal(err)
	}
	defer admin.Close()
	if err := admin.Provision(w.ctx, 1, specs...); err != nil {
		w.Fatal(err)
	}
}

// do asks for a decision and expects one.
func (w *world) do(r client.Request) client.Decision {
	w.Helper()
	d, err := w.direct.Do(w.ctx, r)
	if err != nil {
		w.Fatalf("%+v: %v", r, err)
	}
	return d
}

// refused asks for something that is refused with a kind of error, and words.
func (w *world) refused(r client.Request, kind error, words ...string) {
	w.Helper()
	_, err := w.direct.Do(w.ctx, r)
	if !errors.Is(err, kind) {
		w.Fatalf("%+v: got %v, want %v", r, err, kind)
	}
	w.says(err, words...)
}

// says checks that a message names things, and shows it.
func (w *world) says(err error, words ...string) {
	w.Helper()
	if err == nil {
		w.Fatalf("no error, want one that names %q", words)
	}
	w.Logf("the message: %v", err)
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			w.Errorf("the message %q does not say %q", err, word)
		}
	}
}

// end waits for the end of an instance.
func (w *world) end(workflowType, key string) client.Instance {
	w.Helper()
	i, err := w.direct.WaitFinished(w.ctx, workflowType, key)
	if err != nil {
		w.Fatalf("%s %s: %v", workflowType, key, err)
	}
	return i
}

// history is what happened to an instance.
func (w *world) history(workflowType, key string) []events.Event {
	w.Helper()
	list, err := w.direct.History(w.ctx, workflowType, key, client.HistoryRequest{})
	if err != nil {
		w.Fatal(err)
	}
	return list
}

// kinds is a history in short; tasks with their invocation and attempt.
func kinds(list []events.Event) (short []string) {
	for i := range list {
		e := &list[i]
		text := string(e.EventType)
		if name := audit.Text(e, "invocation"); name != "" {
			text += fmt.Sprintf(" %s/%d", name, e.Data["attempt"].Int())
		}
		short = append(short, text)
	}
	return short
}

// until waits for a condition, which says what is missing.
func (w *world) until(what func() error) {
	w.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	for {
		err := what()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			w.Fatalf("waited in vain: %v", err)
		}
	}
}

// get asks an API.
func (w *world) get(url string, into any) (status int) {
	w.Helper()
	r, err := http.NewRequestWithContext(w.ctx, http.MethodGet, url, nil)
	if err != nil {
		w.Fatal(err)
	}
	return w.roundTrip(r, into)
}

func (w *world) roundTrip(r *http.Request, into any) (status int) {
	w.Helper()
	answer, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		w.Errorf("%s %s: %v", r.Method, r.URL, err)
		return 0
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		w.Errorf("%s %s: %d: %v", r.Method, r.URL, answer.StatusCode, err)
	}
	return answer.StatusCode
}

// wire is a worker's way to the brokers. It can be cut, for a while or for good.
type wire struct {
	mu    sync.Mutex
	off   bool
	conns []net.Conn
}

var errCut = errors.New("the wire is cut")

func (l *wire) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if l.dead() {
		return nil, errCut
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns = append(l.conns, conn)
	if l.off {
		conn.Close()
	}
	return conn, nil
}

func (l *wire) dead() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.off
}

func (l *wire) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.off = true
	for _, conn := range l.conns {
		conn.Close()
	}
	l.conns = nil
}

func (l *wire) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.off = false
}
