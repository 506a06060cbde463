package boot

import (
	"context"
	"net/http"
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
