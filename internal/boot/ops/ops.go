// Package ops is what those who run Leat see of a process: readiness, metrics,
// logs, its version, and how much memory and disk there is.
package ops

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Health is a list of named checks: what /readyz answers from.
type Health struct {
	mu     sync.Mutex
	names  []string
	checks map[string]func() error
}

// Add names a check. check is called from any goroutine and must not wait.
func (h *Health) Add(name string, check func() error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.checks == nil {
		h.checks = make(map[string]func() error)
	}
	if _, ok := h.checks[name]; !ok {
		h.names = append(h.names, name)
	}
	h.checks[name] = check
}

// Ready is the first check's error, nil when all are well.
func (h *Health) Ready() error {
	for _, r := range h.results() {
		if r.err != nil {
			return fmt.Errorf("%s: %w", r.name, r.err)
		}
	}
	return nil
}

type result struct {
	name string
	err  error
}

func (h *Health) results() []result {
	h.mu.Lock()
	names := slices.Clone(h.names)
	checks := make([]func() error, len(names))
	for i, n := range names {
		checks[i] = h.checks[n]
	}
	h.mu.Unlock()
	out := make([]result, len(names))
	for i := range names {
		out[i] = result{names[i], checks[i]()}
	}
	return out
}

// ServeHTTP answers 200 or 503; with ?verbose it lists the checks, as
// Kubernetes' own components do.
func (h *Health) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	results := h.results()
	failed := slices.ContainsFunc(results, func(r result) bool { return r.err != nil })
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if failed {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	if r.URL.Query().Has("verbose") || failed {
		for _, r := range results {
			if r.err != nil {
				_, _ = fmt.Fprintf(w, "[-]%s failed: %v\n", r.name, r.err)
			} else {
				_, _ = fmt.Fprintf(w, "[+]%s ok\n", r.name)
			}
		}
	}
	if failed {
		_, _ = fmt.Fprintln(w, "not ready")
		return
	}
	_, _ = fmt.Fprintln(w, "ok")
}

// Handler serves /metrics, /livez, /readyz and /version. /livez asks only the
// process: restarting it does not bring a broker back.
func Handler(health *Health, registry *prometheus.Registry, build BuildInfo) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") })
	mux.Handle("GET /readyz", health)
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(build)
	})
	return mux
}
