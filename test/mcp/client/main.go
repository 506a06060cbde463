// Command client is what the conformance suite of MCP drives: the client of this
// module, one scenario a run. The suite appends the URL of its server, and says in
// the environment what to do.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/oauthex"

	"github.com/leat-io/leat/internal/mcp/oauth"
	"github.com/leat-io/leat/internal/mcp/schema"
	"github.com/leat-io/leat/internal/mcp/wire"
)

func main() {
	if len(os.Args) != 2 {
		fail(errors.New("want the URL of a server"))
	}
	s := scenario{name: os.Getenv("MCP_CONFORMANCE_SCENARIO"), url: os.Args[1]}
	if text := os.Getenv("MCP_CONFORMANCE_CONTEXT"); text != "" {
		if err := json.Unmarshal([]byte(text), &s.given); err != nil {
			fail(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 25*time.Second)
	err := s.run(ctx)
	cancel()
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// scenario is one run.
type scenario struct {
	name, url string
	given     struct {
		ClientID     string `json:"client_id"`
		ClientSecret string `json:"client_secret"`
		ToolCalls    []struct {
			Name      string          `json:"name"`
			Arguments json.RawMessage `json:"arguments"`
		} `json:"toolCalls"`
	}

	conn  *wire.Conn
	tools map[string]*wire.Tool
}

func (s *scenario) run(ctx context.Context) error {
	options := wire.Options{Name: "leat-conformance", Version: "1", Elicitation: true, Tasks: true, Transport: http.DefaultTransport, Changed: func() {}}
	if strings.HasPrefix(s.name, "auth/") {
		flow, err := s.flow()
		if err != nil {
			return err
		}
		options.Authorizer = oauth.New(flow)
	}
	conn, err := wire.Open(ctx, wire.Target{ID: "suite", URL: s.url}, options)
	if err != nil {
		return err
	}
	s.conn = conn
	defer func() { _ = conn.Close(ctx) }()
	if err := s.list(ctx); err != nil {
		return err
	}
	return s.calls(ctx)
}

func (s *scenario) list(ctx context.Context) error {
	listing, err := s.conn.Tools(ctx)
	if err != nil {
		return err
	}
	s.tools = make(map[string]*wire.Tool)
	for _, t := range listing.Tools {
		s.tools[t.Name] = t
	}
	return nil
}

// calls makes the calls that the scenario is about.
func (s *scenario) calls(ctx context.Context) error {
	switch {
	case s.name == "tools_call":
		return s.call(ctx, "add_numbers", `{"a":5,"b":3}`)
	case s.name == "elicitation-sep1034-client-defaults":
		return s.call(ctx, "test_client_elicitation_defaults", `{}`)
	case s.name == "sse-retry":
		return s.call(ctx, "test_reconnection", `{}`)
	case s.name == "json-schema-2020-12-preservation":
		return s.call(ctx, "json_schema_echo", `{"schema":`+string(s.tools["json_schema_2020_12_tool"].Input)+`}`)
	case s.name == "sep-2322-client-request-state":
		for _, name := range []string{"test_mrtr_echo_state", "test_mrtr_no_state", "test_mrtr_unrelated", "test_mrtr_no_result_type"} {
			s.try(ctx, name, `{}`)
		}
	case s.name == "http-custom-headers":
		for _, c := range s.given.ToolCalls {
			s.try(ctx, c.Name, string(c.Arguments))
		}
	case s.name == "http-invalid-tool-headers", s.name == "http-standard-headers":
		for name := range s.tools {
			s.try(ctx, name, `{"region":"us-west1"}`)
		}
	case strings.HasPrefix(s.name, "auth/"):
		return s.call(ctx, "test-tool", `{}`)
	}
	return nil
}

// try makes a call that the suite may want to fail.
func (s *scenario) try(ctx context.Context, name, arguments string) {
	if err := s.call(ctx, name, arguments); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
	}
}

// call makes a call and answers what it asks, as a person would who accepts what a
// form proposes.
func (s *scenario) call(ctx context.Context, name, arguments string) error {
	tool := s.tools[name]
	if tool == nil {
		return fmt.Errorf("there is no tool %s", name)
	}
	call := &wire.Call{Tool: tool, Arguments: json.RawMessage(arguments)}
	answer, err := s.conn.Call(ctx, call)
	for range 10 {
		asked, ok := answer.(*wire.Questions)
		if err != nil || !ok {
			return err
		}
		replies := make(map[string]wire.Reply, len(asked.Asked))
		for key, q := range asked.Asked {
			replies[key] = accept(q)
		}
		if asked.Held != "" {
			answer, err = s.conn.Continue(ctx, asked.Held, replies, call)
			continue
		}
		call.State, call.Replies = asked.State, replies
		answer, err = s.conn.Call(ctx, call)
	}
	return errors.New("it asks for ever")
}

// accept fills a form with what it proposes, or with yes.
func accept(q wire.Question) wire.Reply {
	form, err := schema.Compile(q.Schema)
	if err != nil {
		return wire.Reply{Action: "cancel"}
	}
	for _, content := range []string{`{}`, `{"confirmed":true}`} {
		if filled, err := form.Fill(json.RawMessage(content)); err == nil {
			return wire.Reply{Action: "accept", Content: filled}
		}
	}
	return wire.Reply{Action: "decline"}
}

// flow is how a person would authorize this client in a browser; the suite's
// authorization server sends the browser back at once.
func (s *scenario) flow() (auth.OAuthHandler, error) {
	config := &auth.AuthorizationCodeHandlerConfig{
		RedirectURL:                    "http://localhost:3000/callback",
		AuthorizationCodeFetcher:       browse,
		ClientIDMetadataDocumentConfig: &auth.ClientIDMetadataDocumentConfig{URL: "https://conformance-test.local/client-metadata.json"},
		DynamicClientRegistrationConfig: &auth.DynamicClientRegistrationConfig{
			Metadata: &oauthex.ClientRegistrationMetadata{RedirectURIs: []string{"http://localhost:3000/callback"}},
		},
	}
	if s.given.ClientID != "" && s.given.ClientSecret != "" {
		config.PreregisteredClient = &oauthex.ClientCredentials{
			ClientID: s.given.ClientID, ClientSecretAuth: &oauthex.ClientSecretAuth{ClientSecret: s.given.ClientSecret},
		}
	}
	return auth.NewAuthorizationCodeHandler(config)
}

func browse(ctx context.Context, args *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, args.URL, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	back, err := url.Parse(resp.Header.Get("Location"))
	if err != nil {
		return nil, err
	}
	q := back.Query()
	return &auth.AuthorizationResult{Code: q.Get("code"), State: q.Get("state"), Iss: q.Get("iss")}, nil
}
