package boot

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leat-io/leat/internal/problem"
)

func TestWorkersOffLoopbackNeedAToken(t *testing.T) {
	for _, c := range []struct {
		addr, token string
		ok          bool
	}{
		{"127.0.0.1:0", "", true},
		{"localhost:0", "", true},
		{"[::1]:0", "", true},
		{"0.0.0.0:0", "", false},
		{":8474", "", false},
		{"leat.example:8474", "", false},
		{"0.0.0.0:0", "s3cret", true},
	} {
		if err := checkGateway(c.addr, c.token); (err == nil) != c.ok {
			t.Errorf("%s, token %q: %v", c.addr, c.token, err)
		}
		if c.addr == "127.0.0.1:0" {
			continue
		}
		if _, err := (DevOptions{Workers: c.addr, Token: c.token, Memory: true}).withDefaults(); (err == nil) != c.ok {
			t.Errorf("leat dev --workers %s, token %q: %v", c.addr, c.token, err)
		}
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
			if err != nil && Explain("", err).Code != problem.BadSetting {
				t.Errorf("%v: %v", c.environ, err)
			}
		}
	}
}

// Two `leat dev` hand out tasks side by side, and a page of a stranger's takes none.
func TestDevHandsOutTasks(t *testing.T) {
	seen := make(map[string]bool)
	for range 2 {
		d, err := StartDev(t.Context(), DevOptions{Memory: true, HTTP: "127.0.0.1:0", Kafka: "127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		}()
		if err := d.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		if seen[d.Worker] {
			t.Errorf("two on %s", d.Worker)
		}
		seen[d.Worker] = true
		for host, want := range map[string]int{"": http.StatusNotFound, "evil.example": http.StatusMisdirectedRequest} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.Worker+"/v1/queues/nobody/poll", strings.NewReader(`{"wait":"0s"}`))
			if err != nil {
				t.Fatal(err)
			}
			r.Host = host
			r.Header.Set("Content-Type", "application/json")
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			if answer.StatusCode != want {
				t.Errorf("host %q: got %d, want %d", host, answer.StatusCode, want)
			}
		}
	}
	http.DefaultClient.CloseIdleConnections()
}
