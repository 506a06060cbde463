//go:build unix

package chaos

import (
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/leat-io/leat/test/process"
)

// programs builds what is to be killed, once for all tests.
var programs = sync.OnceValues(func() (dir string, err error) {
	return process.Build(filepath.Join("..", ".."), "./cmd/leat", "./cmd/router", "./cmd/projector", "./examples/...")
})

// program is a process that runs. It does not outlive the test, however that ends.
type program struct {
	*process.Child
	t    *testing.T
	name string
	args []string
	out  *process.Output
	log  *process.Output
}

// start runs bin/name.
func start(t *testing.T, name string, args ...string) *program {
	t.Helper()
	p := &program{t: t, name: name, args: args, out: &process.Output{}, log: &process.Output{}}
	p.launch()
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			text := p.log.String()
			t.Logf("%s %v said:\n%s", name, args, text[max(0, len(text)-4000):])
		}
	})
	return p
}

// launch starts the program, again when it was killed.
func (p *program) launch() {
	p.t.Helper()
	dir, err := programs()
	if err != nil {
		p.t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(dir, p.name), p.args...)
	cmd.Stdout, cmd.Stderr = p.out, p.log
	if p.Child, err = process.Start(cmd); err != nil {
		p.t.Fatal(err)
	}
}
