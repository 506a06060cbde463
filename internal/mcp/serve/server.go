package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// extension is the name of the tasks.
const extension = "io.modelcontextprotocol/tasks"

// metaKey is where a call carries its idempotency key.
const metaKey = "io.leat/idempotency-key"

// maxKey bounds an idempotency key, in bytes.
const maxKey = 256

// Config says what a server is. Name, Version and Tasks are required.
type Config struct {
	Name         string
	Version      string
	Instructions string        // for models, about all tools
	Tasks        Tasks         // what its tools' tasks are
	ListFor      time.Duration // how long clients may keep a list; default 5 s
	Logger       *slog.Logger  // default: none
	// Options changes how the SDK's server is made, for tests of the protocol.
	Options func(*mcp.ServerOptions)
}

// Server is one server. It is safe for concurrent use.
type Server struct {
	config Config
	sdk    *mcp.Server

	mu    sync.Mutex
	tools map[string]string // what is offered, by name: what it is, as text
}

// New makes a server without tools.
func New(c Config) (*Server, error) {
	c.ListFor = cmp.Or(c.ListFor, 5*time.Second)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{config: c, tools: make(map[string]string)}
	capabilities := &mcp.ServerCapabilities{Tools: &mcp.ToolCapabilities{ListChanged: true}}
	capabilities.AddExtension(extension, nil)
	options := &mcp.ServerOptions{
		Instructions: c.Instructions, Logger: quiet(c.Logger), Capabilities: capabilities, SetCacheable: s.cacheable,
	}
	if c.Options != nil {
		c.Options(options)
	}
	s.sdk = mcp.NewServer(&mcp.Implementation{Name: c.Name, Version: c.Version}, options)
	return s, s.addExtension()
}

// quiet keeps what the SDK says to those who look for it: it logs an error for what
// any client may get wrong.
func quiet(l *slog.Logger) *slog.Logger { return slog.New(lowered{l.Handler()}) }

// lowered takes every record for one that helps to find mistakes.
type lowered struct{ slog.Handler }

func (l lowered) Enabled(ctx context.Context, _ slog.Level) bool {
	return l.Handler.Enabled(ctx, slog.LevelDebug)
}

func (l lowered) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return l.Handler.Handle(ctx, r)
}

// cacheable says how long an answer holds. What one caller sees is not for others.
func (s *Server) cacheable(_ context.Context, req mcp.Request, c *mcp.Cacheable) {
	c.CacheScope = "private"
	if _, ok := req.(*mcp.ReadResourceRequest); !ok {
		c.TTLMs = int(s.config.ListFor.Milliseconds())
	}
}

// SDK is the server of the SDK, for tests of the protocol.
func (s *Server) SDK() *mcp.Server { return s.sdk }

// SetTools makes the tools what they are from now on. Clients that listen are told
// when that is a change. One that cannot be offered is left out, and logged.
func (s *Server) SetTools(tools []Tool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wanted := make(map[string]string, len(tools))
	for i := range tools {
		t := &tools[i]
		is := t.Description + "\x00" + string(t.Input)
		if was, there := s.tools[t.Name]; there && was == is {
			wanted[t.Name] = is
			continue
		}
		if err := s.add(t); err != nil {
			s.config.Logger.Warn("a tool cannot be offered", "tool", t.Name, "error", err)
			continue
		}
		wanted[t.Name] = is
	}
	gone := slices.DeleteFunc(slices.Sorted(maps.Keys(s.tools)), func(name string) bool { _, stays := wanted[name]; return stays })
	if len(gone) > 0 {
		s.sdk.RemoveTools(gone...)
	}
	s.tools = wanted
}

// add offers a tool. The SDK panics for a schema that it cannot offer.
func (s *Server) add(t *Tool) (err error) {
	defer func() {
		if why := recover(); why != nil {
			err = fmt.Errorf("%v", why)
		}
	}()
	call := t.Call
	s.sdk.AddTool(&mcp.Tool{Name: t.Name, Description: t.Description, InputSchema: t.Input},
		func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return answer(ctx, call, req)
		})
	return nil
}

// answer makes one call of a tool.
func answer(ctx context.Context, call func(context.Context, *Call) (Outcome, error), req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	key, err := keyOf(req.Params.GetMeta())
	if err != nil {
		return nil, wireError(err)
	}
	answers, err := answersOf(req.Params.InputResponses)
	if err != nil {
		return nil, wireError(err)
	}
	out, err := call(ctx, &Call{
		Caller: callerOf(req), Arguments: req.Params.Arguments, Key: key, State: req.Params.RequestState, Answers: answers,
	})
	if err != nil {
		return nil, wireError(err)
	}
	switch out := out.(type) {
	case *Result:
		return contentOf(out), nil
	case *Questions:
		return &mcp.CallToolResult{InputRequests: asked(out.Asked), RequestState: out.State}, nil
	case *Task:
		if made, ok := ctx.Value(slotKey{}).(*slot); ok {
			made.task = out
			return &mcp.CallToolResult{}, nil
		}
	}
	return nil, wireError(fmt.Errorf("a tool answered with %T", out))
}

func keyOf(meta map[string]any) (string, error) {
	v, there := meta[metaKey]
	if !there {
		return "", nil
	}
	key, ok := v.(string)
	if !ok || key == "" || len(key) > maxKey {
		return "", Invalid("_meta[%q] is a text of 1 to %d bytes", metaKey, maxKey)
	}
	return key, nil
}

// callerOf is who made a request.
func callerOf(req mcp.Request) Caller {
	who := Caller{Name: Local}
	if e := req.GetExtra(); e != nil && e.TokenInfo != nil {
		who.Name = e.TokenInfo.UserID
	}
	if r, ok := req.(interface {
		ClientCapabilities() *mcp.ClientCapabilities
	}); ok {
		if c := r.ClientCapabilities(); c != nil {
			_, who.Tasks = c.Extensions[extension]
			who.Elicit = c.Elicitation != nil
		}
	}
	return who
}

// AddResource offers something to read.
func (s *Server) AddResource(r Resource) {
	const mime = "application/json"
	read := func(ctx context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		text, err := r.Read(ctx, callerOf(req), req.Params.URI)
		switch {
		case errors.Is(err, ErrNoResource):
			return nil, mcp.ResourceNotFoundError(req.Params.URI)
		case err != nil:
			return nil, wireError(err)
		}
		return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: req.Params.URI, MIMEType: mime, Text: string(text)}}}, nil
	}
	if r.Template {
		s.sdk.AddResourceTemplate(&mcp.ResourceTemplate{URITemplate: r.URI, Name: r.Name, Description: r.Description, MIMEType: mime}, read)
		return
	}
	s.sdk.AddResource(&mcp.Resource{URI: r.URI, Name: r.Name, Description: r.Description, MIMEType: mime}, read)
}

// Streams serves one client on a pair of streams, a message a line, until it goes
// away or ctx ends.
func (s *Server) Streams(ctx context.Context, in io.Reader, out io.Writer) error {
	err := s.sdk.Run(ctx, &mcp.IOTransport{Reader: io.NopCloser(in), Writer: unclosed{out}})
	if ctx.Err() == nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil // it was asked to end, or the client has gone
}

// unclosed is a writer that stays open.
type unclosed struct{ io.Writer }

func (unclosed) Close() error { return nil }

// wireError is an error as the SDK sends it. What is not meant for clients is an
// internal error: its text names what is wrong, and no secret.
func wireError(err error) error {
	if known, ok := errors.AsType[*Error](err); ok {
		return &jsonrpc.Error{Code: known.Code, Message: known.Message, Data: known.Data}
	}
	if errors.Is(err, ErrNoTask) {
		return &jsonrpc.Error{Code: CodeInvalidParams, Message: err.Error()}
	}
	return &jsonrpc.Error{Code: CodeInternal, Message: err.Error()}
}
