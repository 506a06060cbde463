// Package devleat keeps a `leat dev` running for as long as an example needs it.
package devleat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Dev is a `leat dev` of our own, as a process. When it dies, it is started again
// on the same data and addresses.
type Dev struct {
	leat, data string
	say        func(format string, args ...any)

	Kafka string `json:"kafka"`
	API   string `json:"api"`

	mu       sync.Mutex
	stopping bool
	process  *os.Process
	ended    chan struct{} // it will not be started again
}

// The addresses of `leat dev`, so that the URL is the same each time. When
// something else has them, the system chooses.
const (
	UsualKafka = "127.0.0.1:9092"
	UsualHTTP  = "127.0.0.1:8470"
	anyPort    = "127.0.0.1:0"
)

// Start starts leat and returns when it answers. fail is called when it
// cannot be kept alive.
func Start(data string, say func(string, ...any), fail func(error)) (*Dev, error) {
	if err := os.MkdirAll(data, 0o755); err != nil {
		return nil, err
	}
	leat, err := findLeat(data)
	if err != nil {
		return nil, err
	}
	d := &Dev{leat: leat, data: data, say: say, ended: make(chan struct{})}
	kafka, http := freeOr(UsualKafka), freeOr(UsualHTTP)
	exited, err := d.launch(kafka, http)
	if err != nil && (freeOr(kafka) != kafka || freeOr(http) != http) { // another process was faster
		exited, err = d.launch(anyPort, anyPort)
	}
	if err != nil {
		return nil, err
	}
	go d.keep(exited, fail)
	return d, nil
}

// findLeat looks beside ourselves, and then where the shell would. `go run`
// leaves nothing beside us; in the repository leat is built instead.
func findLeat(data string) (string, error) {
	if self, err := os.Executable(); err == nil {
		if beside := filepath.Join(filepath.Dir(self), "leat"); exec.Command(beside, "version").Run() == nil {
			return beside, nil
		}
	}
	if _, err := os.Stat(filepath.Join("cmd", "leat", "main.go")); err == nil {
		built := filepath.Join(data, "leat")
		build := exec.Command("go", "build", "-o", built, "./cmd/leat")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return "", fmt.Errorf("build leat: %w", err)
		}
		return filepath.Abs(built)
	}
	path, err := exec.LookPath("leat")
	if err != nil {
		return "", errors.New("there is no leat beside this program nor in PATH: run `make build`, or give --brokers")
	}
	return path, nil
}

func freeOr(addr string) string {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return anyPort
	}
	l.Close()
	return addr
}

// launch runs one process and waits until it is ready.
func (d *Dev) launch(kafka, http string) (exited chan error, err error) {
	cmd := exec.Command(d.leat, "dev", "--output", "jsonl", "--data", d.data, "--kafka", kafka, "--http", http)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	bind(cmd)
	exited = make(chan error, 1)
	started := make(chan error, 1)
	read := make(chan struct{})
	go func() {
		// Linux kills the child when the thread that made it ends, and Go ends
		// threads as it likes: this one stays for as long as the child does.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		started <- nil
		<-read // Wait closes the pipe
		exited <- cmd.Wait()
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", d.leat, err)
	}
	d.mu.Lock()
	d.process = cmd.Process
	if d.stopping {
		_ = cmd.Process.Signal(syscall.SIGTERM)
	}
	d.mu.Unlock()
	decoder := json.NewDecoder(out)
	if err := decoder.Decode(d); err != nil {
		close(read)
		return nil, fmt.Errorf("leat dev ended before it was ready (%w): its message is above", errors.Join(<-exited, unlessEOF(err)))
	}
	go func() {
		_, _ = io.Copy(io.Discard, out)
		close(read)
	}()
	return exited, nil
}

func unlessEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// keep starts the process again whenever it ends, until Stop.
func (d *Dev) keep(exited chan error, fail func(error)) {
	defer close(d.ended)
	for {
		err := <-exited
		if d.isStopping() {
			return
		}
		d.say("leat dev has ended (%v); starting it again", err)
		api, err := url.Parse(d.API)
		if err == nil {
			exited, err = d.launch(d.Kafka, api.Host)
		}
		if d.isStopping() && err != nil {
			return
		}
		if err != nil {
			fail(err)
			return
		}
		d.say("leat dev is back")
	}
}

func (d *Dev) isStopping() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stopping
}

// Stop ends the process in an orderly way, and otherwise after a while.
func (d *Dev) Stop() {
	const patience = 20 * time.Second
	d.mu.Lock()
	d.stopping = true
	_ = d.process.Signal(syscall.SIGTERM)
	d.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	select {
	case <-d.ended:
	case <-ctx.Done():
		_ = d.process.Kill()
		<-d.ended
	}
}
