package kafkatest

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	startLimit = 2 * time.Minute  // a broker needs 2 s; a loaded machine has needed 18 s
	stopLimit  = 20 * time.Second // it needs 0.3 to 3 s
)

//go:embed log4j2.xml
var log4j2 []byte

// Options say how a broker is started. The zero value is right for most tests.
type Options struct {
	// Dir holds the broker's data, configuration and log (kafka.log). A folder
	// that an earlier broker used is opened with its data. Empty: a temporary
	// folder that Close removes.
	Dir string
	// Port is where clients connect. 0: a free one.
	Port int
	// Properties are added to server.properties and win over what is there.
	Properties map[string]string
	// JVM replaces the flags of the Java machine. Empty: a small heap and only the
	// quick compiler, which start fast. A benchmark wants "-Xmx1g" here.
	JVM []string
}

// Broker is one running Apache Kafka: broker and controller in one process.
// Its methods may be called from any goroutine, and any number of times.
type Broker struct {
	dir   string
	temp  bool // Close removes dir
	port  int
	java  []string // the command line up to the main class
	props string   // path of server.properties
	log   *os.File

	mu   sync.Mutex
	proc *process // nil while stopped
}

// Start fetches Kafka's jars where they are missing, starts a broker and waits
// until it serves. ctx bounds the start only; the broker runs until Stop, Kill
// or Close, or until this process ends, however it ends.
func Start(ctx context.Context, opts Options) (*Broker, error) {
	if err := checkJava(ctx); err != nil {
		return nil, err
	}
	libs, err := Jars(ctx)
	if err != nil {
		return nil, err
	}
	b := &Broker{dir: opts.Dir, port: opts.Port}
	if b.dir == "" {
		b.temp = true
		if b.dir, err = os.MkdirTemp("", "leat-kafka-*"); err != nil {
			return nil, fmt.Errorf("make a folder for the broker: %w", err)
		}
	}
	if err := b.configure(ctx, libs, opts); err != nil {
		b.Close()
		return nil, err
	}
	if err := b.Restart(ctx); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// configure writes everything that the broker reads.
func (b *Broker) configure(ctx context.Context, libs string, opts Options) (err error) {
	if b.dir, err = filepath.Abs(b.dir); err != nil {
		return fmt.Errorf("find the broker's folder: %w", err)
	}
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return fmt.Errorf("make the broker's folder: %w", err)
	}
	if b.port == 0 {
		if b.port, err = freePort(ctx); err != nil {
			return err
		}
	}
	controllerPort := b.port
	for controllerPort == b.port {
		if controllerPort, err = freePort(ctx); err != nil {
			return err
		}
	}
	b.props = filepath.Join(b.dir, "server.properties")
	text := properties(b.dataDir(), b.port, controllerPort, opts.Properties)
	if err := os.WriteFile(b.props, []byte(text), 0o644); err != nil {
		return fmt.Errorf("write the broker's configuration: %w", err)
	}
	logging := filepath.Join(b.dir, "log4j2.xml")
	if err := os.WriteFile(logging, log4j2, 0o644); err != nil {
		return fmt.Errorf("write the broker's log configuration: %w", err)
	}
	if b.log, err = os.OpenFile(b.LogFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644); err != nil {
		return fmt.Errorf("open the broker's log: %w", err)
	}
	jvm := opts.JVM
	if len(jvm) == 0 {
		jvm = []string{"-Xmx512m", "-XX:TieredStopAtLevel=1"}
	}
	b.java = slices.Concat([]string{"java"}, jvm,
		[]string{"-Dlog4j2.configurationFile=" + logging, "-cp", filepath.Join(libs, "*")})
	return nil
}

// Addr is the broker's address for clients. It stays the same over restarts.
func (b *Broker) Addr() string { return "127.0.0.1:" + strconv.Itoa(b.port) }

// Pid is the process that runs now, 0 while none does.
func (b *Broker) Pid() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.proc == nil {
		return 0
	}
	return b.proc.cmd.Process.Pid
}

// Dir is the folder with the broker's data, configuration and log.
func (b *Broker) Dir() string { return b.dir }

// LogFile is the broker's own log, kept over restarts.
func (b *Broker) LogFile() string { return filepath.Join(b.dir, "kafka.log") }

func (b *Broker) dataDir() string { return filepath.Join(b.dir, "data") }

// Restart stops the broker when it runs, as Stop does, and starts it again on
// the same port and data. It returns when the broker serves.
func (b *Broker) Restart(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.end(syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if !exists(filepath.Join(b.dataDir(), "meta.properties")) {
		if err := b.format(ctx); err != nil {
			return err
		}
	}
	return b.serve(ctx)
}

// format prepares an empty data folder; Kafka refuses to start without.
func (b *Broker) format(ctx context.Context) error {
	p, err := startProcess(ctx, b.log, append(slices.Clone(b.java),
		"kafka.tools.StorageTool", "format", "-t", clusterID, "-c", b.props)...)
	if err != nil {
		return fmt.Errorf("run Kafka's StorageTool: %w", err)
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	if !p.cmd.ProcessState.Success() {
		return b.failure("format the broker's data folder", p, ctx.Err())
	}
	return nil
}

// serve starts the broker and waits for its own word that it serves: an open
// port alone comes before the controller has let the broker in.
func (b *Broker) serve(ctx context.Context) error {
	out := &watch{to: b.log, text: []byte("Kafka Server started"), seen: make(chan struct{})}
	p, err := startProcess(ctx, out, append(slices.Clone(b.java), "kafka.Kafka", b.props)...)
	if err != nil {
		return fmt.Errorf("run Kafka: %w", err)
	}
	select {
	case <-out.seen:
		b.proc = p
		return nil
	case <-p.done:
	case <-ctx.Done():
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	return b.failure("start the broker", p, ctx.Err())
}

// failure says what went wrong with the end of the broker's log, because a
// temporary folder will be gone when somebody wants to look.
func (b *Broker) failure(what string, p *process, err error) error {
	if err == nil {
		err = errors.New(p.cmd.ProcessState.String())
	}
	log, _ := os.ReadFile(b.LogFile())
	return fmt.Errorf("%s: %w; its log ends:\n%s", what, err, tail(log, 4000))
}

// Stop shuts the broker down the way an operator does, and keeps its data:
// Restart goes on with it.
func (b *Broker) Stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.end(syscall.SIGTERM)
}

// Kill ends the broker as a crash does, and keeps its data: Restart goes on
// with it. That Restart takes about 11 s, because the controller does not let a
// broker in while the session of its dead predecessor lasts; the property
// broker.session.timeout.ms (9000), with broker.heartbeat.interval.ms, shortens it.
func (b *Broker) Kill() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.end(syscall.SIGKILL)
}

// Close ends the broker at once and removes its folder when Start made it.
func (b *Broker) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	how := syscall.SIGTERM
	if b.temp { // nobody will read the data
		how = syscall.SIGKILL
	}
	b.end(how)
	if b.log != nil {
		_ = b.log.Close()
	}
	if b.temp {
		_ = os.RemoveAll(b.dir)
	}
}

// end sends the signal and waits for the process to be gone.
func (b *Broker) end(how syscall.Signal) {
	if b.proc == nil {
		return
	}
	if b.proc.cmd.Process.Signal(how) != nil { // no such signal on this system
		_ = b.proc.cmd.Process.Kill()
	}
	limit := time.NewTimer(stopLimit)
	defer limit.Stop()
	select {
	case <-b.proc.done:
	case <-limit.C:
		_ = b.proc.cmd.Process.Kill()
		<-b.proc.done
	}
	b.proc = nil
}

// freePort picks a port below the range that systems take outgoing connections'
// ports from. So nothing takes it between the choice and the use, or while the
// broker restarts, unless it looks for this very port.
func freePort(ctx context.Context) (int, error) {
	for range 100 {
		port := 20000 + rand.IntN(12000)
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			continue
		}
		return port, l.Close()
	}
	return 0, errors.New("find a free port: 100 tries, none")
}
