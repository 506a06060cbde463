// Package listen is how the programs of Leat stand on an address: which names
// they answer to, how many connections and how slow ones they bear, and how they
// end. What is served there is for others to say.
package listen

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/leat-io/leat/internal/boot/explain"
	"github.com/leat-io/leat/internal/problem"
)

// Server is one address that is listened on.
type Server struct {
	listener net.Listener
	server   *http.Server
}

// HTTP takes an address. names are hosts that it answers to beside those of
// loopback. Close it, or Serve, which does. The error is a *problem.Problem.
func HTTP(ctx context.Context, addr string, handler http.Handler, names ...string) (*Server, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, explain.Listen("cannot listen on "+addr, err)
	}
	s := &http.Server{
		Handler:           front{next: handler, known: knownHosts(l.Addr(), names)},
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
	}
	return &Server{newDoors(l), s}, nil
}

// URL is where it is, without a slash at the end.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() }

// Close gives back an address that is not served.
func (s *Server) Close() error { return s.listener.Close() }

// Serve returns when ctx has ended and the open requests have, or were cut off.
func (s *Server) Serve(ctx context.Context) error {
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		if s.server.Shutdown(grace) != nil {
			_ = s.server.Close()
		}
	}()
	err := s.server.Serve(s.listener)
	if errors.Is(err, http.ErrServerClosed) {
		<-stopped
		return nil
	}
	return problem.Wrap(problem.Internal, "the HTTP server of "+s.listener.Addr().String()+" ended", err)
}
