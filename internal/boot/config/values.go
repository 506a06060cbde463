package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/leat-io/leat/internal/boot/explain"
	"github.com/leat-io/leat/internal/httpcall"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/topics"
)

const masked = "***"

// Line is one setting as a dump shows it.
type Line struct {
	Key    string `json:"key"`
	Value  any    `json:"value"`
	Source string `json:"source"`
}

// Dump lists every setting with its source. Secrets are masked.
func (s *Settings) Dump() []Line {
	var lines []Line
	for _, k := range s.known {
		v := s.values[k.key]
		if texts, list := v.([]string); k.secret && v != "" && (!list || len(texts) > 0) {
			v = masked
		}
		if d, ok := v.(time.Duration); ok {
			v = d.String()
		}
		lines = append(lines, Line{k.key, v, s.source[k.key]})
	}
	return lines
}

// Text reads one setting, as Int, Bool, Duration and List do. A key that the
// program does not have, or of another kind, is a broken invariant.
func (s *Settings) Text(key string) string { return value[string](s, key) }

// Int reads a number.
func (s *Settings) Int(key string) int { return value[int](s, key) }

// Bool reads a yes or no.
func (s *Settings) Bool(key string) bool { return value[bool](s, key) }

// Duration reads a time span.
func (s *Settings) Duration(key string) time.Duration { return value[time.Duration](s, key) }

// List reads a list.
func (s *Settings) List(key string) []string { return value[[]string](s, key) }

func value[T any](s *Settings, key string) T {
	v, ok := s.values[key].(T)
	if !ok {
		panic(fmt.Sprintf("setting %q of %s is %T", key, s.role, s.values[key]))
	}
	return v
}

// Names builds topic names.
func (s *Settings) Names() topics.Names { return topics.Names{Prefix: s.Text("prefix")} }

// Kafka is how to reach the cluster. The error is a *problem.Problem.
func (s *Settings) Kafka(logger *slog.Logger) (kafka.Config, error) {
	c := kafka.Config{
		Brokers:  s.List("kafka.brokers"),
		ClientID: s.Text("kafka.client-id"),
		Logger:   logger,
		SASL: kafka.SASL{
			Mechanism: strings.ToUpper(s.Text("kafka.sasl.mechanism")),
			User:      s.Text("kafka.sasl.username"),
			Password:  s.Text("kafka.sasl.password"),
		},
	}
	if len(c.Brokers) == 0 {
		return c, explain.NoBroker("kafka.brokers is empty")
	}
	if c.ClientID == "" {
		c.ClientID = strings.TrimSuffix("leat-"+s.role, "-leat")
	}
	if err := s.readPassword(&c.SASL); err != nil {
		return c, err
	}
	var err error
	c.TLS, err = s.tls()
	return c, err
}

func (s *Settings) readPassword(sasl *kafka.SASL) error {
	path := s.Text("kafka.sasl.password-file")
	if path != "" && sasl.Password != "" {
		return problem.New(problem.BadSetting, "the Kafka password is given twice", "kafka.sasl.password and kafka.sasl.password-file are both set", "keep the file")
	}
	if path != "" {
		text, err := os.ReadFile(path) //nolint:gosec // the user names the file
		if err != nil {
			return problem.Wrap(problem.BadSetting, "cannot read kafka.sasl.password-file", err)
		}
		sasl.Password = strings.TrimRight(string(text), "\r\n")
	}
	switch sasl.Mechanism {
	case "":
		if sasl.User != "" || sasl.Password != "" {
			return problem.New(problem.BadSetting, "Kafka credentials are given without a mechanism", "kafka.sasl.mechanism is empty", "set it to PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
		}
	case "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512":
	default:
		return problem.New(problem.BadSetting, fmt.Sprintf("setting kafka.sasl.mechanism has the value %q", sasl.Mechanism), "there is no such mechanism", "set it to PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
	}
	return nil
}

func (s *Settings) tls() (*tls.Config, error) {
	ca, cert, key := s.Text("kafka.tls.ca-file"), s.Text("kafka.tls.cert-file"), s.Text("kafka.tls.key-file")
	if !s.Bool("kafka.tls.enabled") {
		if ca+cert+key != "" {
			return nil, problem.New(problem.BadSetting, "TLS files are named, but TLS is off", "kafka.tls.enabled is false", "set KAFKA_TLS_ENABLED=true")
		}
		return nil, nil //nolint:nilnil // no TLS is a legal answer
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		pem, err := os.ReadFile(ca) //nolint:gosec // the user names the file
		if err != nil {
			return nil, problem.Wrap(problem.BadSetting, "cannot read kafka.tls.ca-file", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, problem.Wrap(problem.BadSetting, "cannot use kafka.tls.ca-file", errors.New(ca+" holds no PEM certificate"))
		}
	}
	if cert+key != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, problem.Wrap(problem.BadSetting, "cannot use the Kafka client certificate", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// Given reports whether a setting was set by anybody.
func (s *Settings) Given(key string) bool { return s.source[key] != "default" }

// GatewayToken is the bearer token of workers, "" for none.
func (s *Settings) GatewayToken() (string, error) {
	token, path := s.Text("gateway.token"), s.Text("gateway.token-file")
	switch {
	case path == "":
		return token, nil
	case token != "":
		return "", problem.New(problem.BadSetting, "the token of workers is given twice", "gateway.token and gateway.token-file are both set", "keep the file")
	}
	text, err := os.ReadFile(path) //nolint:gosec // the user names the file
	if err != nil {
		return "", problem.Wrap(problem.BadSetting, "cannot read gateway.token-file", err)
	}
	if token = strings.TrimSpace(string(text)); token == "" {
		return "", problem.New(problem.BadSetting, "gateway.token-file holds no token", path+" is empty", "write one into it, such as: openssl rand -hex 32")
	}
	return token, nil
}

// HTTPCalls is where the http calls of definitions may go.
func (s *Settings) HTTPCalls() httpcall.Config {
	return httpcall.Config{Allow: s.List("http-allow"), AllowPrivate: s.Bool("http-allow-private")}
}

// MCP is which MCP servers may be called.
type MCP struct {
	Allow        []string
	AllowPrivate bool
	Commands     []string // NAME=/path arg…
	Env          []string // NAME=VAR=value, or NAME=VAR
	Routing      string
}

// Any reports whether there is any server that may be called.
func (m MCP) Any() bool { return len(m.Allow) > 0 || len(m.Commands) > 0 }

// MCP is which MCP servers may be called.
func (s *Settings) MCP() MCP {
	return MCP{
		Allow: s.List("mcp-allow"), AllowPrivate: s.Bool("mcp-allow-private"), Commands: s.List("mcp-command"), Env: s.List("mcp-env"), Routing: s.Text("mcp-routing"),
	}
}
