package mcp

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/leat-io/leat/internal/devkafka"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/mcp/catalog"
	"github.com/leat-io/leat/internal/mcp/directory"
	"github.com/leat-io/leat/internal/mcp/fleet"
	"github.com/leat-io/leat/internal/mcp/invoke"
	"github.com/leat-io/leat/internal/mcp/wire"
	"github.com/leat-io/leat/pkg/events"
)

// pathSide is what an executor does for a call, but for Kafka: it routes, checks the
// arguments, takes a place, calls, checks and hashes the result.
func pathSide(ctx context.Context, o Options, at string) (side, func() error, error) {
	commands := map[string]fleet.Command{"bench": {Argv: []string{o.Server}}}
	p, err := newPath(ctx, commands, subsystem("bench", at))
	if err != nil {
		return side{}, nil, err
	}
	if err := p.approve(ctx, "bench", tool); err != nil {
		return side{}, p.end, err
	}
	return side{"path", func(ctx context.Context) error { return p.call(ctx, tool) }}, p.end, nil
}

// subsystem is one at a URL, or behind the command of its name.
func subsystem(id, at string) events.MCPSubsystem {
	now := events.Instant(time.Now())
	s := events.MCPSubsystem{
		SubsystemID: id, Name: id, Type: events.MCPAPI, Version: "1", Weight: 1, Trust: events.MCPTrustNone, RegisteredAt: now, UpdatedAt: now,
		HTTP: at, Limits: events.MCPLimits{InFlight: 1000},
	}
	if at == "" {
		s.Stdio = id
	}
	return s
}

// path is the fleet of an executor, over an embedded broker, and its runner.
type path struct {
	at     directory.Config
	fleet  *fleet.Fleet
	runner *invoke.Runner
	broker *devkafka.Broker
	stop   context.CancelFunc
	ended  chan error
}

func newPath(ctx context.Context, commands map[string]fleet.Command, subsystems ...events.MCPSubsystem) (p *path, err error) {
	p = &path{ended: make(chan error, 1)}
	if p.broker, err = devkafka.Start(devkafka.Options{}); err != nil {
		return nil, err
	}
	p.at = directory.Config{Kafka: kafka.Config{Brokers: []string{p.broker.Addr()}, ClientID: "leat-bench"}}
	for _, s := range subsystems {
		if err := directory.Change(ctx, p.at, s.SubsystemID, func(*catalog.Catalog) (*events.MCPSubsystem, error) { return &s, nil }); err != nil {
			return nil, errors.Join(err, p.broker.Close())
		}
	}
	p.fleet, err = fleet.New(fleet.Config{
		NodeID: "bench", Directory: p.at, Transport: &http.Transport{MaxIdleConns: 128, MaxIdleConnsPerHost: 128}, Allowed: func(*url.URL) error { return nil },
		Commands: commands, Wire: wire.Options{Elicitation: true, Tasks: true},
	})
	if err != nil {
		return nil, errors.Join(err, p.broker.Close())
	}
	p.runner = invoke.New(p.fleet)
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	p.stop = stop
	go func() { p.ended <- p.fleet.Run(running) }() // until end
	return p, nil
}

func (p *path) end() error {
	p.stop()
	return errors.Join(<-p.ended, p.broker.Close())
}

// approve waits until the fleet has listed a tool, approves it, and waits until that
// has an effect.
func (p *path) approve(ctx context.Context, id, name string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return until(ctx, func() error {
		err := directory.Change(ctx, p.at, id, func(all *catalog.Catalog) (*events.MCPSubsystem, error) {
			s, _ := all.Subsystem(id)
			for _, r := range all.Rows(id, time.Now()) {
				if r.Name == name && len(r.Listed) > 0 {
					now := events.Instant(time.Now())
					s = catalog.Approve(s, events.MCPApproval{Name: name, Pin: r.Listed[0].Pin, At: now})
					s.UpdatedAt = now
					return &s, nil
				}
			}
			return nil, fmt.Errorf("%s does not list %s", id, name)
		})
		if err != nil {
			return err
		}
		return until(ctx, func() error {
			_, err := p.fleet.Route(ctx, fleet.Want{Tool: name, Subsystem: id, Require: true})
			return err
		})
	})
}

func until(ctx context.Context, what func() error) error {
	for {
		err := what()
		if err == nil {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

// call is one attempt of a task, admitted and run.
func (p *path) call(ctx context.Context, name string) error {
	var id events.UUID
	_, _ = rand.Read(id[:]) // it never fails
	input, err := json.Marshal(map[string]any{"tool": name, "arguments": struct{}{}})
	if err != nil {
		return err
	}
	task := &events.Task{TaskID: id, TaskName: invoke.TaskName, Attempt: 1, IdempotencyKey: id.String(), InstanceID: id, Input: input, Delivery: events.AtMostOnce}
	admission, err := p.runner.Admit(ctx, task)
	if admission.Done != nil {
		defer admission.Done()
	}
	if err != nil {
		return err
	}
	_, err = p.runner.Run(ctx, task)
	return err
}
