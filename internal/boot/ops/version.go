package ops

import (
	"runtime"
	"runtime/debug"
)

// Version is set by the linker: -X github.com/leat-io/leat/internal/boot/ops.Version=v1.2.3.
var Version string //nolint:gochecknoglobals // the linker sets it, nothing else does

// BuildInfo is what /version and `leat version` show.
type BuildInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	// Partitions is what `leat dev` wants new types to have; absent elsewhere.
	Partitions int `json:"partitions,omitempty"`
}

// Build describes this program.
func Build() BuildInfo {
	b := BuildInfo{Version: Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if b.Version == "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			b.Revision = s.Value
		}
	}
	return b
}
