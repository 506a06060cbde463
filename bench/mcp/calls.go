// Package mcp measures calls of MCP tools beside the bare client of the Go SDK: the
// connection alone, and the whole call path of an executor, with routing, schemas, the
// breaker and hashes, at the same server in the same run.
package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/leat-io/leat/bench/rig"
	"github.com/leat-io/leat/internal/mcp/wire"
)

// Options say what to measure.
type Options struct {
	Server   string // program of the SDK's everything-server
	Seconds  float64
	Rounds   int
	InFlight []int
	Talk     func(format string, args ...any)
}

// Line is one side at one number in flight.
type Line struct {
	Bench    string    `json:"bench"`
	Over     string    `json:"over"` // stdio or http
	Side     string    `json:"side"` // sdk, wire or path
	InFlight int       `json:"in_flight"`
	PerS     float64   `json:"calls_per_s"`
	P50      float64   `json:"p50_ms"`
	P99      float64   `json:"p99_ms"`
	CPU      float64   `json:"cpu_us_per_call"` // of our process
	Ratio    float64   `json:"ratio,omitempty"` // calls a second to those of sdk
	Ratios   []float64 `json:"ratios,omitempty"`
	Added    float64   `json:"p50_added_ms,omitempty"`
}

// side makes one call.
type side struct {
	name string
	call func(context.Context) error
}

const tool = "test_simple_text"

// Run compares the sides over both transports.
func Run(ctx context.Context, o Options, emit func(any) error) error {
	for _, over := range []string{"stdio", "http"} {
		if err := run(ctx, o, over, emit); err != nil {
			return fmt.Errorf("%s: %w", over, err)
		}
	}
	return nil
}

func run(ctx context.Context, o Options, over string, emit func(any) error) (err error) {
	var ends []func() error
	defer func() {
		for i := range ends {
			err = errors.Join(err, ends[len(ends)-1-i]())
		}
	}()
	url := ""
	if over == "http" {
		addr, err := rig.FreeAddr()
		if err != nil {
			return err
		}
		url = "http://" + addr + "/"
		server := exec.CommandContext(ctx, o.Server, "-http", addr)
		if err := server.Start(); err != nil {
			return err
		}
		ends = append(ends, func() error { _ = server.Process.Kill(); _ = server.Wait(); return nil })
		if err := listens(ctx, url); err != nil {
			return err
		}
	}
	var sides []side
	for _, open := range []func(context.Context, Options, string) (side, func() error, error){sdkSide, wireSide, pathSide} {
		s, end, err := open(ctx, o, url)
		if end != nil {
			ends = append(ends, end)
		}
		if err != nil {
			return err
		}
		sides = append(sides, s)
	}
	for _, n := range o.InFlight {
		if err := compare(ctx, o, over, n, sides, emit); err != nil {
			return err
		}
	}
	return nil
}

// listens waits until somebody answers at url.
func listens(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err == nil {
			return resp.Body.Close()
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

func sdkSide(ctx context.Context, o Options, url string) (side, func() error, error) {
	client := sdk.NewClient(&sdk.Implementation{Name: "bench", Version: "1"}, nil)
	var transport sdk.Transport = &sdk.CommandTransport{Command: exec.CommandContext(ctx, o.Server)}
	if url != "" {
		idle := &http.Transport{MaxIdleConns: 128, MaxIdleConnsPerHost: 128}
		transport = &sdk.StreamableClientTransport{Endpoint: url, HTTPClient: &http.Client{Transport: idle}}
	}
	session, err := client.Connect(ctx, transport, nil)
	if err != nil {
		return side{}, nil, err
	}
	call := func(ctx context.Context) error {
		r, err := session.CallTool(ctx, &sdk.CallToolParams{Name: tool, Arguments: map[string]any{}})
		if err == nil && (r.IsError || len(r.Content) == 0) {
			err = errors.New("no result")
		}
		return err
	}
	return side{"sdk", call}, session.Close, nil
}

func wireSide(ctx context.Context, o Options, url string) (side, func() error, error) {
	target := wire.Target{ID: "bench", URL: url}
	if url == "" {
		target.Command = []string{o.Server}
	}
	conn, err := wire.Open(ctx, target, wire.Options{Transport: &http.Transport{MaxIdleConns: 128, MaxIdleConnsPerHost: 128}})
	if err != nil {
		return side{}, nil, err
	}
	end := func() error { return conn.Close(ctx) }
	listing, err := conn.Tools(ctx)
	if err != nil {
		return side{}, end, err
	}
	for _, t := range listing.Tools {
		if t.Name == tool {
			return side{"wire", func(ctx context.Context) error {
				_, err := conn.Call(ctx, &wire.Call{Tool: t, Arguments: json.RawMessage(`{}`)})
				return err
			}}, end, nil
		}
	}
	return side{}, end, fmt.Errorf("the server has no %s", tool)
}

// turn is what a side did in one turn.
type turn struct {
	calls int
	took  time.Duration
	cpu   time.Duration
	times []time.Duration
}

// compare lets the sides take turns, whose order changes every round.
func compare(ctx context.Context, o Options, over string, n int, sides []side, emit func(any) error) error {
	all := make([][]turn, len(sides))
	for round := range o.Rounds {
		for i := range sides {
			at := i
			if round%2 == 1 {
				at = len(sides) - 1 - i
			}
			if _, err := drive(ctx, sides[at], n, time.Duration(o.Seconds*0.1*float64(time.Second))); err != nil { // warm
				return err
			}
			t, err := drive(ctx, sides[at], n, time.Duration(o.Seconds*float64(time.Second)))
			if err != nil {
				return fmt.Errorf("%s: %w", sides[at].name, err)
			}
			all[at] = append(all[at], t)
		}
	}
	base := line(all[0])
	for i, s := range sides {
		l := line(all[i])
		l.Over, l.Side, l.InFlight = over, s.name, n
		if i > 0 {
			l.Ratio, l.Added = rig.Digits(l.PerS/base.PerS, 2), rig.Digits(l.P50-base.P50, 3)
			for round := range all[i] {
				l.Ratios = append(l.Ratios, rig.Digits(all[i][round].rate()/all[0][round].rate(), 2))
			}
		}
		o.Talk("%s, %d in flight, %s: %.0f calls/s, p50 %.2f ms, ratio %.2f", over, n, s.name, l.PerS, l.P50, l.Ratio)
		if err := emit(l); err != nil {
			return err
		}
	}
	return nil
}

func (t turn) rate() float64 { return float64(t.calls) / t.took.Seconds() }

func line(turns []turn) Line {
	var sum turn
	for _, t := range turns {
		sum.calls, sum.took, sum.cpu, sum.times = sum.calls+t.calls, sum.took+t.took, sum.cpu+t.cpu, append(sum.times, t.times...)
	}
	return Line{
		Bench: "mcp_calls", PerS: rig.Digits(sum.rate(), 0), P50: rig.Quantile(sum.times, 0.5), P99: rig.Quantile(sum.times, 0.99),
		CPU: rig.Digits(float64(sum.cpu.Microseconds())/float64(sum.calls), 1),
	}
}

// drive keeps n calls in flight for a time.
func drive(ctx context.Context, s side, n int, long time.Duration) (t turn, err error) {
	began, cpu := time.Now(), rig.OwnTime()
	var stop atomic.Bool
	var mu sync.Mutex
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			var mine []time.Duration
			var failed error
			for !stop.Load() && time.Since(began) < long {
				at := time.Now()
				if failed = s.call(ctx); failed != nil {
					stop.Store(true)
					break
				}
				mine = append(mine, time.Since(at))
			}
			mu.Lock()
			defer mu.Unlock()
			t.times, err = append(t.times, mine...), errors.Join(err, failed)
		})
	}
	all.Wait()
	t.calls, t.took, t.cpu = len(t.times), time.Since(began), rig.OwnTime()-cpu
	return t, err
}
