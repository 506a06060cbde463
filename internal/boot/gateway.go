package boot

import (
	"context"

	"github.com/leat-io/leat/internal/boot/listen"
	"github.com/leat-io/leat/internal/executor/seat"
	"github.com/leat-io/leat/internal/gateway"
	"github.com/leat-io/leat/internal/problem"
)

// GatewayAddr is where `leat dev` hands tasks to workers when nothing is said and
// the address is free.
const GatewayAddr = "127.0.0.1:8474"

// checkGateway refuses an address that others reach when no token says who
// they are.
func checkGateway(addr, token string) error {
	if token != "" || listen.Loopback(addr) {
		return nil
	}
	return problem.New(problem.AddressRefused, "cannot hand out tasks on "+addr,
		"it is not a loopback address, and without a token anyone who reaches it can take tasks and report how they ended",
		"give --http-token-file FILE, which workers send as Authorization: Bearer TOKEN, or listen on 127.0.0.1:8474")
}

// serveGateway puts a gateway on its address. The address is served until the
// gateway has stopped: who has a task can report it while it drains.
func (p *process) serveGateway(addr, token string, served []string, seat *seat.Seat) (worker, error) {
	if err := checkGateway(addr, token); err != nil {
		return nil, err
	}
	w, err := gateway.New(gateway.Config{
		Kafka: p.kafka, Names: p.settings.Names(), Group: p.settings.Text("group"), DrainTimeout: p.settings.Duration("drain-timeout"),
		NodeID: seat.NodeID(), Seat: seat, Token: token, Served: served, Logger: p.logger, Tasks: p.metrics.LentTasks(), Metrics: p.metrics.Gateway(),
	})
	if err != nil {
		return nil, err
	}
	if p.gateway != nil {
		p.gateway.Set(w.Handler())
		return w, nil
	}
	p.gateway = new(listen.Current)
	p.gateway.Set(w.Handler())
	server, err := listen.HTTP(context.Background(), addr, p.gateway, p.settings.List("http-host")...)
	if err != nil {
		return nil, err
	}
	p.late = append(p.late, server)
	p.logger.Info("serving workers", "url", server.URL(), "token", token != "")
	return w, nil
}

// together is workers that are one.
type together []worker

// Run runs all; the first error ends the others.
func (t together) Run(ctx context.Context) error {
	g := newGroup(ctx)
	for _, w := range t {
		g.Go(w.Run)
	}
	return g.Wait()
}

// Ready is the first error.
func (t together) Ready() error {
	for _, w := range t {
		if err := w.Ready(); err != nil {
			return err
		}
	}
	return nil
}
