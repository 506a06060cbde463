// Package fleet is the MCP servers that one executor may call: it follows which
// are registered, keeps a connection to each, knows their tools and how they are,
// says so on mcp.health, and chooses where a call goes. It makes no calls itself,
// and a server that hangs or is gone hides nothing but its own tools.
package fleet

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/leat-io/leat/internal/mcp/catalog"
	"github.com/leat-io/leat/internal/mcp/directory"
	"github.com/leat-io/leat/internal/mcp/health"
	"github.com/leat-io/leat/internal/mcp/routing"
	"github.com/leat-io/leat/internal/mcp/wire"
	"github.com/leat-io/leat/pkg/events"
)

// Command is a program that speaks MCP, as the operator gave it.
type Command struct {
	Argv []string
	Env  []string // the whole environment, NAME=value each
}

// Config of a fleet.
type Config struct {
	NodeID    string           // of the executor
	Directory directory.Config // where the topics are
	// Transport carries requests to URLs, and Allowed says of a URL why they may not go
	// there. Without them no server is called over HTTP.
	Transport http.RoundTripper
	Allowed   func(*url.URL) error
	Commands  map[string]Command                   // by the names that subsystems give
	ReadKey   func(*events.MCPKey) (string, error) // default: ReadKey of this package
	Wire      wire.Options                         // of every connection: Name, Version, Elicitation, Tasks
	Policy    routing.Policy                       // of calls that name none; default round_robin
	Probe     time.Duration                        // how often a server is asked whether it is there; default 15 s
	Refresh   time.Duration                        // how often the tools of a server that says nothing are listed; default 1 min
	Health    health.Config                        // thresholds
	Logger    *slog.Logger                         // default: none
	Metrics   Metrics
}

// Bounds of what is waited for.
const (
	dialTime    = 15 * time.Second // for a connection
	listTime    = 30 * time.Second // for all pages of a list
	probeTime   = 5 * time.Second  // for the answer to a probe
	closeTime   = 5 * time.Second  // for connections to end when the fleet does
	lastWords   = 5 * time.Second  // for the tombstones
	firstRetry  = time.Second      // after a server that is away, doubled up to Probe
	leastTTL    = 5 * time.Second  // that a list is believed at least
	mostTTL     = 10 * time.Minute
	settleTime  = 5 * time.Second // that a call waits for servers that are being looked at
	leastChange = time.Second     // between two lists because of list_changed
)

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.ReadKey == nil {
		c.ReadKey = ReadKey
	}
	c.Policy = cmp.Or(c.Policy, routing.RoundRobin)
	c.Probe, c.Refresh = cmp.Or(c.Probe, 15*time.Second), cmp.Or(c.Refresh, time.Minute)
	c.Wire.Log = c.Logger
	c.Metrics = c.Metrics.withDefaults()
	return c
}

// Fleet is made by [New]. Run keeps it; the other methods are safe for concurrent use.
type Fleet struct {
	config    Config
	directory *directory.Directory
	publisher *directory.Publisher
	changed   chan struct{} // holds one: what is registered may have changed
	dirty     chan struct{} // holds one: a server has something to say

	patience context.Context //nolint:containedctx // ends when running calls have to
	hurry    context.CancelFunc

	mu      sync.Mutex
	servers map[string]*server
	leaving map[*server]bool // unregistered, and not ended yet
	rotors  map[string]*routing.Rotor
	settled chan struct{} // closed and replaced whenever a server is known better
	ended   bool
}

// New makes a fleet of no servers.
func New(c Config) (*Fleet, error) {
	c = c.withDefaults()
	if c.NodeID == "" {
		return nil, errors.New("fleet: the node has no id")
	}
	publisher, err := directory.NewPublisher(c.Directory)
	if err != nil {
		return nil, err
	}
	f := &Fleet{
		config: c, publisher: publisher, changed: make(chan struct{}, 1), dirty: make(chan struct{}, 1),
		servers: make(map[string]*server), leaving: make(map[*server]bool), rotors: make(map[string]*routing.Rotor), settled: make(chan struct{}),
	}
	f.patience, f.hurry = context.WithCancel(context.Background())
	f.directory = directory.New(c.Directory, func() { tell(f.changed) })
	return f, nil
}

func tell(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Capabilities are those of an executor with this fleet, for its node record:
// mcp:http, and mcp:stdio:NAME for each command.
func (f *Fleet) Capabilities() (all []string) {
	if f.config.Transport != nil {
		all = append(all, "mcp:http")
	}
	for _, name := range slices.Sorted(maps.Keys(f.config.Commands)) {
		all = append(all, "mcp:stdio:"+name)
	}
	return all
}

// Run follows what is registered until ctx ends. Then nothing new begins, running
// calls have some seconds to end, processes are ended, and the health records of
// this node are tombstoned. End the executor that uses the fleet first.
func (f *Fleet) Run(ctx context.Context) error {
	var work sync.WaitGroup
	life, end := context.WithCancel(context.WithoutCancel(ctx)) // of the servers: they end after ctx
	defer end()
	defer f.hurry()
	var failed error
	work.Go(func() {
		if err := f.directory.Run(ctx); err != nil {
			f.mu.Lock()
			failed = err
			f.mu.Unlock()
			tell(f.changed)
		}
	})
	work.Go(func() { f.publish(life) })
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-f.changed:
			f.mu.Lock()
			err := failed
			f.mu.Unlock()
			if err != nil {
				f.stop()
				end()
				work.Wait()
				f.publisher.Close()
				return err
			}
			f.reconcile(life)
		}
	}
	f.stop()
	end()
	work.Wait()
	f.farewell(context.WithoutCancel(ctx))
	f.publisher.Close()
	return nil
}

// Ready is nil once the servers that are registered are known.
func (f *Fleet) Ready() error { return f.directory.Ready() }

// reconcile makes the servers those that are registered and that this executor
// may call.
func (f *Fleet) reconcile(ctx context.Context) {
	var records []events.MCPSubsystem
	f.directory.View(func(c *catalog.Catalog) { records = c.Subsystems() })
	f.mu.Lock()
	defer f.mu.Unlock()
	there := make(map[string]bool)
	for _, record := range records {
		if record.Stdio != "" {
			if _, has := f.config.Commands[record.Stdio]; !has {
				continue // another executor's
			}
		} else if f.config.Transport == nil {
			continue
		}
		there[record.SubsystemID] = true
		s := f.servers[record.SubsystemID]
		if s == nil {
			s = newServer(f, record)
			f.servers[record.SubsystemID] = s
			s.start(ctx)
			continue
		}
		s.update(record)
	}
	for id, s := range f.servers {
		if !there[id] {
			delete(f.servers, id)
			f.leaving[s] = true
			s.leave(events.MCPReasonUnregistered)
		}
	}
	f.news()
}

// news wakes those who wait for servers to be known better. The lock is held.
func (f *Fleet) news() {
	close(f.settled)
	f.settled = make(chan struct{})
}

// stop ends every server, at the same time.
func (f *Fleet) stop() {
	f.mu.Lock()
	f.ended = true
	all := slices.Collect(maps.Values(f.servers))
	all = slices.AppendSeq(all, maps.Keys(f.leaving))
	f.news()
	f.mu.Unlock()
	for _, s := range all {
		s.leave(events.MCPReasonStopping)
	}
	timer := time.AfterFunc(closeTime, f.hurry)
	defer timer.Stop()
	for _, s := range all {
		<-s.done
	}
}

// gone forgets a server that has ended.
func (f *Fleet) gone(s *server) {
	f.mu.Lock()
	delete(f.leaving, s)
	f.mu.Unlock()
	tell(f.dirty)
}

// farewell tombstones what this node said of servers.
func (f *Fleet) farewell(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lastWords)
	defer cancel()
	if err := f.publisher.Publish(ctx, directory.Report{Gone: f.said(nil)}); err != nil {
		f.config.Logger.LogAttrs(ctx, slog.LevelWarn, "health of mcp servers could not be taken back, it expires", slog.Any("error", err))
	}
}

// said lists the health records of this node, but for those of some servers.
func (f *Fleet) said(but map[string]*server) (keys []string) {
	f.directory.View(func(c *catalog.Catalog) {
		for _, h := range c.HealthOf(f.config.NodeID) {
			if but[h.SubsystemID] == nil {
				keys = append(keys, h.Key())
			}
		}
	})
	return keys
}
