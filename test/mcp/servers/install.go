package mcpservers

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// What is installed: a folder each, whose files are copied beside what they ask for. The
// scripts run with it.
//
//go:embed node suite python scripts
var files embed.FS

// kit is a set of servers that are installed together.
type kit struct {
	name    string
	install func(ctx context.Context, dir string) error
}

var (
	node   = kit{"node", npm}        // the servers of the MCP project
	python = kit{"python", pip}      // those from PyPI
	suite  = kit{"suite", npm}       // the conformance suite and a Node that it runs on
	golang = kit{"go", everythingGo} // the Go SDK's
)

// Install gets everything, and returns the folders by name.
func Install(ctx context.Context) (map[string]string, error) {
	dirs := make(map[string]string)
	var failed []error
	for _, k := range []kit{node, python, suite, golang} {
		dir, err := k.dir(ctx)
		dirs[k.name], failed = dir, append(failed, err)
	}
	return dirs, errors.Join(failed...)
}

// dir is the folder with the kit, installed when it is not there. A file that is
// written last says that it is complete: a virtual environment cannot be renamed.
func (k kit) dir(ctx context.Context) (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache folder: %w", err)
	}
	version, err := k.version()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(base, "leat", "mcp-"+k.name+"-"+version)
	complete := filepath.Join(dir, ".complete")
	if exists(complete) {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", fmt.Errorf("make the cache folder: %w", err)
	}
	unlock, err := lock(dir + ".lock")
	if err != nil {
		return "", fmt.Errorf("lock the cache folder: %w", err)
	}
	defer unlock()
	if exists(complete) { // another process installed it while we waited
		return dir, nil
	}
	if err := k.fill(ctx, dir); err != nil {
		return "", fmt.Errorf("install the MCP servers of kit %s: %w", k.name, err)
	}
	return dir, os.WriteFile(complete, nil, 0o644)
}

// version changes with what is asked for.
func (k kit) version() (string, error) {
	sum := sha256.New()
	sum.Write([]byte(sdkVersion))
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Dir(path) != k.name {
			return err
		}
		text, err := files.ReadFile(path)
		sum.Write(text)
		return err
	})
	return hex.EncodeToString(sum.Sum(nil))[:12], err
}

// fill makes the folder anew.
func (k kit) fill(ctx context.Context, dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if entries, err := files.ReadDir(k.name); err == nil {
		for _, e := range entries {
			text, err := files.ReadFile(k.name + "/" + e.Name())
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(dir, e.Name()), text, 0o644); err != nil {
				return err
			}
		}
	}
	return k.install(ctx, dir)
}

func npm(ctx context.Context, dir string) error {
	return run(ctx, dir, "npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")
}

func pip(ctx context.Context, dir string) error {
	venv := filepath.Join(dir, "venv")
	if err := run(ctx, dir, "python3", "-m", "venv", venv); err != nil {
		return err
	}
	return run(ctx, dir, filepath.Join(venv, "bin", "pip"), "install", "-q", "--disable-pip-version-check", "--no-compile", "-r", "requirements.txt")
}

// everythingGo builds what go.mod already names: nothing is fetched but its module.
func everythingGo(ctx context.Context, dir string) error {
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	return run(ctx, root, "go", "build", "-o", filepath.Join(dir, "everything-server"), sdk+"/conformance/everything-server")
}

func run(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", filepath.Base(name), args[0], err, out[max(0, len(out)-2000):])
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
