package kafkatest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// containerLimit includes the first build of test/containers and its hundred-odd packages.
const containerLimit = 5 * time.Minute

// startContainer runs the program in test/containers, which owns the container
// for as long as its standard input is open: when this process dies, the
// container goes too. It is a program, in a module of its own, so that Docker's
// client does not become a dependency of Leat.
func startContainer(ctx context.Context, image string) (*Choice, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	var log bytes.Buffer
	cmd := exec.CommandContext(context.WithoutCancel(ctx), "go", "run", ".", "-image", image)
	cmd.Dir = filepath.Join(root, "test", "containers")
	cmd.Stderr = &log
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", image, err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", image, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", image, err)
	}
	stop := func() error {
		in.Close()
		return cmd.Wait()
	}
	addr, err := readReady(ctx, out)
	if err != nil {
		err = errors.Join(err, stop())
		return nil, fmt.Errorf("start %s: %w\n%s", image, err, tail(log.Bytes(), 4000))
	}
	name := fmt.Sprintf("container of %s on %s, ready in %v", image, addr, time.Since(began).Round(time.Millisecond))
	return &Choice{Name: name, Seeds: []string{addr}, close: func() { _ = stop() }}, nil
}

// readReady waits for the program's line "ready host:port".
func readReady(ctx context.Context, out io.Reader) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, containerLimit)
	defer cancel()
	line := make(chan string, 1)
	go func() {
		s, _ := bufio.NewReader(out).ReadString('\n')
		line <- s
	}()
	select {
	case s := <-line:
		addr, ok := strings.CutPrefix(strings.TrimSpace(s), "ready ")
		if !ok {
			return "", errors.New("the container did not get ready")
		}
		return addr, nil
	case <-ctx.Done():
		return "", fmt.Errorf("the container did not get ready: %w", ctx.Err())
	}
}

// moduleRoot looks for the folder with test/containers upwards: tests run in
// the folder of their package.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	for !exists(filepath.Join(dir, "test", "containers", "go.mod")) {
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("find test/containers: not inside the Leat checkout")
		}
		dir = parent
	}
	return dir, nil
}
