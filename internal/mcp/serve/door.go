package serve

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// maxBody bounds a request's body, in bytes.
const maxBody = 4 << 20

// Handler serves the protocol on every path, in the way that keeps no session.
// bearers says who may enter; nil lets everybody in, as Local. The names of hosts
// that a listener answers to are for who listens.
func (s *Server) Handler(bearers *Bearers) http.Handler {
	protocol := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s.sdk }, &mcp.StreamableHTTPOptions{
		Stateless: true, Logger: quiet(s.config.Logger), MaxRequestBodyBytes: maxBody, PropagateRequestCancellation: true,
	})
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !readBody(w, r) {
			return
		}
		w.Header().Del("WWW-Authenticate")
		protocol.ServeHTTP(w, r)
	})
	guarded := http.Handler(inner)
	if bearers != nil {
		known := auth.RequireBearerToken(func(_ context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
			name, ok := bearers.Name(token)
			if !ok {
				return nil, auth.ErrInvalidToken
			}
			return &auth.TokenInfo{UserID: name}, nil
		}, &auth.RequireBearerTokenOptions{AllowMissingExpiration: true})(inner)
		guarded = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="leat"`)
			known.ServeHTTP(w, r)
		})
	}
	return sameOrigin(guarded)
}

// sameOrigin refuses what a page of another origin asks. Programs send no Origin.
func sameOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		if origin != "" && origin != "http://"+r.Host && origin != "https://"+r.Host {
			http.Error(w, "a page of another origin may not ask here", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// readBody takes the whole of a request before it is answered: the time that a
// body may take is over then, and a call may take longer.
func readBody(w http.ResponseWriter, r *http.Request) bool {
	if r.Body == nil || r.Body == http.NoBody {
		return true
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		status := http.StatusBadRequest
		if _, long := errors.AsType[*http.MaxBytesError](err); long {
			status = http.StatusRequestEntityTooLarge
		}
		http.Error(w, "the request's body cannot be read: "+err.Error(), status)
		return false
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	r.Body = io.NopCloser(bytes.NewReader(body))
	return true
}
