package ops

import (
	"log/slog"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// LimitMemory tells the collector about the container's memory limit, unless
// GOMEMLIMIT has. (Go reads the CPU limit by itself, not the memory limit.)
func LimitMemory(logger *slog.Logger) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	for _, path := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		text, err := os.ReadFile(path) //nolint:gosec // a constant
		if err != nil {
			continue
		}
		limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		if err != nil || limit <= 0 || limit > 1<<46 { // "max", or cgroup v1's word for none
			return
		}
		debug.SetMemoryLimit(limit / 10 * 9)
		logger.Debug("memory limit taken from the container", "bytes", limit)
		return
	}
}
