package boot

import (
	"context"
	"net/http"

	"github.com/leat-io/leat/internal/boot/listen"
)

// serveAPI puts a projector's API on the http address.
func (p *process) serveAPI(w interface{ Handler() http.Handler }) error {
	if p.api != nil {
		p.api.Set(w.Handler())
		return nil
	}
	p.api = new(listen.Current)
	p.api.Set(w.Handler())
	server, err := listen.HTTP(context.Background(), p.settings.Text("http"), p.api, p.settings.List("http-host")...)
	if err != nil {
		return err
	}
	p.servers = append(p.servers, server)
	p.logger.Info("serving queries", "url", server.URL())
	return nil
}
