package listen

import (
	"net/http"
	"strings"
	"sync/atomic"
)

// Current is a handler that can be replaced while it serves, as happens when
// the projector behind it is made anew.
type Current struct{ handler atomic.Pointer[http.Handler] }

// Set is for what is asked from now on.
func (c *Current) Set(h http.Handler) { c.handler.Store(&h) }

func (c *Current) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	(*c.handler.Load()).ServeHTTP(w, r)
}

// BesideAPI serves ops and, on every other path, the API. The API sees its paths
// as they were sent: ops would take a key that is "." or ".." for steps in them.
func BesideAPI(ops *http.ServeMux, api http.Handler) http.Handler {
	ops.Handle("/", api)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/") {
			api.ServeHTTP(w, r)
			return
		}
		ops.ServeHTTP(w, r)
	})
}
