package config

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/leat-io/leat/internal/boot/explain"
	"github.com/leat-io/leat/internal/problem"
)

// load reads the settings of a role from flags, environment and a file's text.
func load(t *testing.T, role, file string, environ, args []string) (*Settings, error) {
	t.Helper()
	t.Chdir(t.TempDir())
	if file != "" {
		if err := os.WriteFile(DefaultFile, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	flags := pflag.NewFlagSet(role, pflag.ContinueOnError)
	AddFlags(flags, role)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return Load(role, flags, environ)
}

func TestPrecedence(t *testing.T) {
	const file = "kafka: {brokers: [file:1]}\n"
	for _, c := range []struct {
		name, file    string
		environ, args []string
		want, source  string
	}{
		{"default", "", nil, nil, "127.0.0.1:9092", "default"},
		{"file beats default", file, nil, nil, "file:1", "leat.yaml"},
		{"kafka variable beats file", file, []string{"KAFKA_BROKERS=env:1"}, nil, "env:1", "KAFKA_BROKERS"},
		{"leat variable beats kafka variable", file, []string{"LEAT_KAFKA_BROKERS=leat:1", "KAFKA_BROKERS=env:1"}, nil, "leat:1", "LEAT_KAFKA_BROKERS"},
		{"empty variable is none", file, []string{"KAFKA_BROKERS="}, nil, "file:1", "leat.yaml"},
		{"flag beats all", file, []string{"LEAT_KAFKA_BROKERS=leat:1"}, []string{"--brokers", "flag:1"}, "flag:1", "--brokers"},
		{"lists", "", []string{"KAFKA_BROKERS=a:1, b:2"}, nil, "a:1,b:2", "KAFKA_BROKERS"},
		{"flag list", "", nil, []string{"--brokers", "a:1,b:2", "--brokers", "c:3"}, "a:1,b:2,c:3", "--brokers"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := load(t, "router", c.file, c.environ, c.args)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(s.List("kafka.brokers"), ","); got != c.want || s.source["kafka.brokers"] != c.source {
				t.Errorf("got %q from %s, want %q from %s", got, s.source["kafka.brokers"], c.want, c.source)
			}
		})
	}
}

func TestKinds(t *testing.T) {
	s, err := load(t, "executor", "concurrency: 7\ndrain-timeout: 1m\nexec: ['a.b=prog x,y']\nkafka: {tls: {enabled: true}}\nhttp: 127.0.0.1:1\n", nil, []string{"--exec", "c.d=z 1,2"})
	if err != nil {
		t.Fatal(err)
	}
	if s.Int("concurrency") != 7 || s.Duration("drain-timeout") != time.Minute || !s.Bool("kafka.tls.enabled") {
		t.Errorf("read %v", s.values)
	}
	if got := s.List("exec"); len(got) != 1 || got[0] != "c.d=z 1,2" {
		t.Errorf("--exec is %q: a comma does not end a command line", got)
	}
}

func TestBadConfiguration(t *testing.T) {
	secretFile := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secretFile, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, file string
		environ    []string
		code       problem.Code
		says, fix  string
	}{
		{"unknown key", "kafka: {broker: [a:1]}", nil, problem.UnknownSetting, `unknown key "kafka.broker"`, `did you mean "kafka.brokers"?`},
		{"unknown key without a neighbour", "zzz: 1", nil, problem.UnknownSetting, `unknown key "zzz"`, "correct or remove it"},
		{"not YAML", "kafka: [", nil, problem.BadConfigFile, "leat.yaml", ""},
		{"not a number", "replication-factor: many", nil, problem.BadSetting, "want a whole number (from leat.yaml)", ""},
		{"not a bool", "", []string{"KAFKA_TLS_ENABLED=maybe"}, problem.BadSetting, "want true or false (from KAFKA_TLS_ENABLED)", ""},
		{"map for a value", "prefix: {a: 1}", nil, problem.UnknownSetting, `unknown key "prefix.a"`, ""},
		{"list for a value", "prefix: [a]", nil, problem.BadSetting, "want one value", ""},
		{"config file missing", "", []string{"LEAT_CONFIG=/nowhere.yaml"}, problem.BadConfigFile, "/nowhere.yaml", ""},
		{"mechanism", "", []string{"KAFKA_SASL_MECHANISM=KERBEROS", "KAFKA_SASL_USERNAME=u"}, problem.BadSetting, "KERBEROS", "SCRAM-SHA-256"},
		{"no mechanism", "", []string{"KAFKA_SASL_USERNAME=u"}, problem.BadSetting, "without a mechanism", ""},
		{"two passwords", "", []string{"KAFKA_SASL_MECHANISM=PLAIN", "KAFKA_SASL_PASSWORD=x", "KAFKA_SASL_PASSWORD_FILE=" + secretFile}, problem.BadSetting, "given twice", "keep the file"},
		{"password file missing", "", []string{"KAFKA_SASL_MECHANISM=PLAIN", "KAFKA_SASL_PASSWORD_FILE=/nowhere"}, problem.BadSetting, "/nowhere", ""},
		{"TLS files without TLS", "", []string{"KAFKA_TLS_CAFILEPATH=/ca.pem"}, problem.BadSetting, "TLS is off", "KAFKA_TLS_ENABLED=true"},
		{"no such authority", "", []string{"KAFKA_TLS_ENABLED=true", "KAFKA_TLS_CAFILEPATH=/nowhere.pem"}, problem.BadSetting, "/nowhere.pem", ""},
		{"no broker", "", []string{"KAFKA_BROKERS=,"}, problem.BadSetting, "(from KAFKA_BROKERS)", "host:port"},
		{"no broker in the file", "kafka: {brokers: []}", nil, problem.BadSetting, "no Kafka broker", "host:port"},
		{"an empty broker in the file", "kafka: {brokers: ['']}", nil, problem.BadSetting, "no Kafka broker", "host:port"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := load(t, "router", c.file, c.environ, nil)
			if err == nil {
				_, err = s.Kafka(nil)
			}
			var p *problem.Problem
			if !errors.As(err, &p) {
				t.Fatalf("got %v", err)
			}
			if p.Code != c.code || !strings.Contains(p.Error(), c.says) || !strings.Contains(p.Fix, c.fix) {
				t.Errorf("got %s: %v, fix %q", p.Code, p, p.Fix)
			}
		})
	}
}

func TestFlagThatNamesNoBroker(t *testing.T) {
	for _, text := range []string{"", ",", " "} {
		_, err := load(t, "leat", "", nil, []string{"--brokers", text})
		if !errors.Is(err, &problem.Problem{Code: problem.BadSetting}) {
			t.Errorf("--brokers %q: got %v", text, err)
		}
	}
}

func TestSecretsAreMasked(t *testing.T) {
	s, err := load(t, "leat", "", []string{"KAFKA_SASL_PASSWORD=s3cret", "KAFKA_SASL_MECHANISM=plain", "KAFKA_SASL_USERNAME=u"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(s.Dump())
	if err != nil || strings.Contains(string(text), "s3cret") || !strings.Contains(string(text), masked) {
		t.Errorf("the dump says %s, %v", text, err)
	}
	k, err := s.Kafka(nil)
	if err != nil || k.SASL.Password != "s3cret" || k.SASL.Mechanism != "PLAIN" {
		t.Errorf("the client gets %+v, %v", k.SASL, err)
	}
}

func TestPasswordFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := load(t, "leat", "", []string{"KAFKA_SASL_PASSWORD_FILE=" + path, "KAFKA_SASL_MECHANISM=PLAIN"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if k, err := s.Kafka(nil); err != nil || k.SASL.Password != "s3cret" {
		t.Errorf("password is %q, %v", k.SASL.Password, err)
	}
}

func TestEverySettingHasItsOwnNames(t *testing.T) {
	for _, role := range []string{"router", "projector", "executor", "leat"} {
		seen := make(map[string]string)
		for _, s := range settings() {
			if !s.has(role) { // its flags are another program's
				continue
			}
			for _, name := range []string{s.key, "--" + s.flagName(), s.variable(), s.alias} {
				if other, ok := seen[name]; ok && name != "" && other != s.key {
					t.Errorf("%s is a name of %s and of %s", name, other, s.key)
				}
				seen[name] = s.key
			}
			if s.usage == "" {
				t.Errorf("%s has no explanation", s.key)
			}
		}
	}
}

// Where http calls may go can be said in each way, also to `leat`, of which only
// one command has the flags.
func TestHTTPAllow(t *testing.T) {
	for _, c := range []struct {
		role, file    string
		environ, args []string
	}{
		{role: "executor", args: []string{"--http-allow", "a.b,*.c.d", "--http-allow-private"}},
		{role: "executor", environ: []string{"LEAT_HTTP_ALLOW=a.b, *.c.d", "LEAT_HTTP_ALLOW_PRIVATE=true"}},
		{role: "leat", environ: []string{"LEAT_HTTP_ALLOW=a.b,*.c.d", "LEAT_HTTP_ALLOW_PRIVATE=1"}},
		{role: "leat", file: "http-allow: [a.b, '*.c.d']\nhttp-allow-private: true\n"},
	} {
		s, err := load(t, c.role, c.file, c.environ, c.args)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.HTTPCalls(); strings.Join(got.Allow, " ") != "a.b *.c.d" || !got.AllowPrivate {
			t.Errorf("%s %s%v%v: got %+v", c.role, c.file, c.environ, c.args, got)
		}
	}
	flags := pflag.NewFlagSet("leat", pflag.ContinueOnError)
	if AddFlags(flags, "leat"); flags.Lookup("http-allow") != nil {
		t.Error("every command of leat has --http-allow")
	}
	if AddCommandFlags(flags, "dev"); flags.Lookup("http-allow") == nil {
		t.Error("leat dev has no --http-allow")
	}
}

func TestTokenOfWorkers(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		environ     []string
		token, says string
	}{
		{nil, "", ""},
		{[]string{"LEAT_GATEWAY_TOKEN=s3cret"}, "s3cret", ""},
		{[]string{"LEAT_GATEWAY_TOKEN_FILE=" + file("token", "s3cret\n")}, "s3cret", ""},
		{[]string{"LEAT_GATEWAY_TOKEN=a", "LEAT_GATEWAY_TOKEN_FILE=" + file("twice", "b")}, "", "the token of workers is given twice"},
		{[]string{"LEAT_GATEWAY_TOKEN_FILE=" + file("empty", "\n")}, "", "gateway.token-file holds no token"},
		{[]string{"LEAT_GATEWAY_TOKEN_FILE=" + dir + "/nowhere"}, "", "cannot read gateway.token-file"},
	} {
		for _, role := range []string{"executor", "leat"} {
			s, err := load(t, role, "", c.environ, nil)
			if err != nil {
				t.Fatal(err)
			}
			token, err := s.GatewayToken()
			if token != c.token || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s %v: got %q, %v", role, c.environ, token, err)
			}
			if err != nil && explain.Error("", err).Code != problem.BadSetting {
				t.Errorf("%v: %v", c.environ, err)
			}
		}
	}
}
