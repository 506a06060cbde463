package boot

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
)

// current is a handler that can be replaced while it serves, as happens when
// the projector behind it is made anew.
type current struct{ handler atomic.Pointer[http.Handler] }

func (c *current) set(h http.Handler) { c.handler.Store(&h) }

func (c *current) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	(*c.handler.Load()).ServeHTTP(w, r)
}

// serveAPI puts a projector's API on the http address.
func (p *process) serveAPI(w interface{ Handler() http.Handler }) error {
	if p.api != nil {
		p.api.set(w.Handler())
		return nil
	}
	p.api = new(current)
	p.api.set(w.Handler())
	server, err := listenHTTP(context.Background(), p.settings.Text("http"), p.api, p.settings.List("http-host")...)
	if err != nil {
		return err
	}
	p.servers = append(p.servers, server)
	p.logger.Info("serving queries", "url", server.url())
	return nil
}

// besideAPI serves ops and, on every other path, the API. The API sees its paths
// as they were sent: ops would take a key that is "." or ".." for steps in them.
func besideAPI(ops *http.ServeMux, api http.Handler) http.Handler {
	ops.Handle("/", api)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/") {
			api.ServeHTTP(w, r)
			return
		}
		ops.ServeHTTP(w, r)
	})
}
