package devkafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// ClusterID is how the embedded broker names its cluster.
const ClusterID = "leat-dev"

// DefaultAddr is where Kafka clients look first.
const DefaultAddr = "127.0.0.1:9092"

// Options of Start. The zero value is a broker in memory on a free port.
type Options struct {
	Dir        string // data directory, created when missing; "" keeps everything in memory
	Addr       string // host:port to listen on, port 0 for a free one; default 127.0.0.1:0
	Partitions int    // of topics that are created without a count; default 8
	// Remote allows an Addr that is not a loopback address. The broker has no
	// authentication, so this opens the data to everyone who can reach the port.
	Remote bool
	// Listen replaces net.Listen, as the simulation's virtual network does.
	Listen func(network, address string) (net.Listener, error)
	// Network replaces the real network by one in this process, for virtual time. Addr
	// may be any host:port then.
	Network *Network
	// RetentionInterval is how often retention is applied; default 10 minutes,
	// below 0 never.
	RetentionInterval time.Duration
	// Logger takes the broker's warnings; nil drops them.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	if o.Partitions == 0 {
		o.Partitions = 8
	}
	if o.Network != nil {
		o.Listen, o.Remote, o.RetentionInterval = o.Network.Listen, true, -1
	}
	if o.Listen == nil {
		o.Listen = listenTCP
	}
	if o.RetentionInterval == 0 {
		o.RetentionInterval = 10 * time.Minute
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func listenTCP(network, address string) (net.Listener, error) {
	return (&net.ListenConfig{}).Listen(context.Background(), network, address)
}

// Broker is a running broker. Its methods are safe for concurrent use.
type Broker struct {
	cluster *kfake.Cluster
	addr    string
	dir     string
	lock    *dirLock
	stop    chan struct{}
	done    sync.WaitGroup
	close   func() error
}

// Start opens the data directory, puts it in order after a crash, and serves.
// The error is ErrLocked, *VersionError, *AddrError or what the system says.
func Start(o Options) (*Broker, error) {
	o = o.withDefaults()
	if err := checkAddr(o); err != nil {
		return nil, err
	}
	b := &Broker{dir: o.Dir, stop: make(chan struct{})}
	if err := b.open(o); err != nil {
		return nil, errors.Join(err, b.lock.release())
	}
	b.close = sync.OnceValue(b.shutdown)
	if o.RetentionInterval > 0 {
		b.done.Go(func() { b.applyRetention(o.RetentionInterval) })
	}
	return b, nil
}

// open locks, recovers and starts, in this order. Nobody is let in before the
// end.
func (b *Broker) open(o Options) error {
	if o.Dir != "" {
		if err := os.MkdirAll(o.Dir, 0o750); err != nil {
			return fmt.Errorf("make data directory: %w", err)
		}
		var err error
		if b.lock, err = lockDir(o.Dir); err != nil {
			return err
		}
		if err := checkFormat(o.Dir); err != nil {
			return err
		}
		if err := recoverDir(o.Dir, o.Logger); err != nil {
			return fmt.Errorf("recover data directory: %w", err)
		}
	}
	ln, err := o.Listen("tcp", o.Addr)
	if err != nil {
		return &AddrError{Addr: o.Addr, Err: err}
	}
	gate := newGate(ln, o)
	b.cluster, err = kfake.NewCluster(b.options(o, gate)...)
	if err != nil {
		return errors.Join(fmt.Errorf("start embedded broker: %w", err), gate.Close())
	}
	refuseCorrupt(b.cluster)
	b.addr = gate.Addr().String()
	gate.open()
	return nil
}

// never is in milliseconds.
var never = strconv.FormatInt((100 * 365 * 24 * time.Hour).Milliseconds(), 10)

func (b *Broker) options(o Options, ln net.Listener) []kfake.Opt {
	opts := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.ClusterID(ClusterID),
		kfake.DefaultNumPartitions(o.Partitions),
		kfake.ListenFn(func(string, string) (net.Listener, error) { return ln, nil }),
		kfake.WithLogger(brokerLog{o.Logger}),
	}
	configs := map[string]string{
		// Never while transactions run: see the package comment.
		"log.cleaner.backoff.ms": never,
	}
	if o.Network != nil {
		configs["offsets.retention.check.interval.ms"] = never
		configs["group.max.session.timeout.ms"] = strconv.Itoa(math.MaxInt32)
	}
	opts = append(opts, kfake.BrokerConfigs(configs))
	if o.Dir != "" {
		opts = append(opts, kfake.DataDir(filepath.Join(o.Dir, logDir)))
	}
	return opts
}

// Addr is the host:port that clients connect to.
func (b *Broker) Addr() string { return b.addr }

// Close ends the broker and marks the directory as cleanly closed. Calling it
// again gives the first answer.
func (b *Broker) Close() error { return b.close() }

func (b *Broker) shutdown() error {
	close(b.stop)
	b.done.Wait()
	b.cluster.Close()
	if b.dir == "" {
		return nil
	}
	return errors.Join(markClean(b.dir), b.lock.release())
}

// applyRetention does what kfake's cleaner would do besides compaction.
func (b *Broker) applyRetention(every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-b.stop:
			return
		case <-ticker.C:
			b.cluster.ApplyRetention()
		}
	}
}
