package wire

import (
	"context"
	"encoding/json"
	"slices"
	"time"
)

// probeTime is how long server/discover may take. A subsystem that is silent is
// legacy.
const probeTime = 2 * time.Second

// greeting finds out whom a connection speaks to, over one way to ask and to tell.
type greeting struct {
	conn *Conn
	ask  func(ctx context.Context, r *request) (message, *Failure)
	tell func(ctx context.Context, revision, method string) *Failure
}

// greet probes, or believes the hint. A modern server that was too slow for the
// probe refuses initialize with an error that only such a server knows: then it is
// asked again, with the time that a request has.
func (g *greeting) greet(ctx context.Context, hint Era) (*Server, *Failure) {
	silent := false
	if hint != EraLegacy {
		var server *Server
		var failure *Failure
		if server, silent, failure = g.discover(ctx, probeTime); server != nil || failure != nil {
			return server, failure
		}
	}
	server, failure := g.initialize(ctx)
	if failure == nil || !silent || !modernRefusal(failure) {
		return server, failure
	}
	if late, _, cannot := g.discover(ctx, g.conn.opts.Limits.Idle); late != nil || cannot != nil {
		return late, cannot
	}
	return nil, failure
}

// modernRefusal reports whether a server without initialize refused it.
func modernRefusal(f *Failure) bool {
	return f.RPC == rpcHeaderMismatch || f.RPC == rpcMissingClient || f.RPC == rpcUnsupported || f.RPC == rpcMethodNotFound
}

// discover asks a modern server. Without a server and without a failure, the
// subsystem is legacy: it did not understand, or it was silent.
func (g *greeting) discover(ctx context.Context, within time.Duration) (server *Server, silent bool, refusal *Failure) {
	probe, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for range 2 {
		m, failure := g.ask(probe, &request{
			id: g.conn.ids.Add(1), method: "server/discover", params: metaParams{g.conn.me.of(revisionModern)},
			revision: revisionModern, limit: maxListBytes,
		})
		switch {
		case ctx.Err() != nil:
			return nil, false, ended(ctx, NotSent)
		case probe.Err() != nil:
			return nil, true, nil
		case failure != nil && (failure.Evidence == NotSent || failure.Code == CodeUnauthorized || failure.Code == CodeBusy):
			return nil, false, failure
		case failure != nil:
			return nil, false, nil
		case m.err == nil:
			return discovered(m.result), false, nil
		}
		again, refusal := g.rejected(m.err)
		if !again {
			return nil, false, refusal
		}
	}
	return nil, false, nil
}

// rejected judges the error of a probe: a modern server that refuses this revision
// names those that it speaks.
func (g *greeting) rejected(e *rpcError) (again bool, refusal *Failure) {
	switch e.Code {
	case rpcUnsupported:
		var data struct {
			Supported []string `json:"supported"`
		}
		_ = json.Unmarshal(e.Data, &data)
		return slices.Contains(data.Supported, revisionModern), nil
	case rpcHeaderMismatch, rpcMissingClient:
		return false, g.conn.refused(e)
	}
	return false, nil
}

// discovered reads what a modern server says; nil when it is not one.
func discovered(result json.RawMessage) *Server {
	var said struct {
		Supported []string `json:"supportedVersions"`
		Offers    offers   `json:"capabilities"`
		Meta      struct {
			Server implement `json:"io.modelcontextprotocol/serverInfo"`
		} `json:"_meta"`
	}
	if json.Unmarshal(result, &said) != nil || !slices.Contains(said.Supported, revisionModern) {
		return nil
	}
	s := said.Offers.server(EraModern, revisionModern, said.Meta.Server)
	_, s.Tasks = said.Offers.Extensions[extensionTasks]
	return s
}

// offers are the capabilities of a server.
type offers struct {
	Tools *struct {
		ListChanged bool `json:"listChanged"`
	} `json:"tools"`
	Extensions map[string]json.RawMessage `json:"extensions"`
}

func (o *offers) server(era Era, revision string, who implement) *Server {
	s := &Server{Era: era, Revision: revision, Name: cut(who.Name, 200), Version: cut(who.Version, 100)}
	if o.Tools != nil {
		s.Tools, s.ToolsChange = true, o.Tools.ListChanged
	}
	return s
}

// initialize shakes hands with a legacy server.
func (g *greeting) initialize(ctx context.Context) (*Server, *Failure) {
	ctx, cancel := context.WithTimeoutCause(ctx, g.conn.opts.Limits.Idle, errIdle)
	defer cancel()
	m, failure := g.ask(ctx, &request{
		id: g.conn.ids.Add(1), method: "initialize", limit: maxListBytes,
		params: initializeParams{revisionLegacy, g.conn.me.legacy, g.conn.me.client},
	})
	if failure != nil {
		return nil, failure
	}
	if m.err != nil {
		return nil, g.conn.refused(m.err)
	}
	var said struct {
		Revision string    `json:"protocolVersion"`
		Offers   offers    `json:"capabilities"`
		Server   implement `json:"serverInfo"`
	}
	if err := json.Unmarshal(m.result, &said); err != nil {
		return nil, failed(CodeProtocol, Unknown, "the answer to initialize cannot be read: %v", err)
	}
	if !slices.Contains(legacyRevisions, said.Revision) {
		return nil, failed(CodeProtocol, Unknown, "it speaks revision %.40q, which is none of %v and %s", said.Revision, legacyRevisions, revisionModern)
	}
	server := said.Offers.server(EraLegacy, said.Revision, said.Server)
	if failure := g.tell(ctx, said.Revision, "notifications/initialized"); failure != nil {
		return nil, failure
	}
	return server, nil
}
