package leattest

import (
	"context"
	"os"
	"slices"

	"github.com/leat-io/leat/pkg/client"
)

// Deploy deploys definitions from their files.
func (e *Env) Deploy(files ...string) {
	e.t.Helper()
	for _, file := range files {
		source, err := os.ReadFile(file) //nolint:gosec // the test names it
		if err != nil {
			e.t.Fatalf("leattest: deploy: %v", err)
		}
		e.deploy(file, source)
	}
}

// DeploySource deploys a definition, in YAML or JSON, that the test has itself.
func (e *Env) DeploySource(source string) {
	e.t.Helper()
	e.deploy("definition", []byte(source))
}

func (e *Env) deploy(name string, source []byte) {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	d, err := e.own.Deploy(ctx, client.DeployRequest{Name: name, Source: source, Partitions: partitions})
	if err != nil {
		e.t.Fatalf("leattest: %v", err)
	}
	if !slices.Contains(e.types, d.WorkflowType) {
		e.types = append(e.types, d.WorkflowType)
	}
	e.work()
	e.settle(e.router.Ready)
}
