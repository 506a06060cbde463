package boot

import (
	"net/http"
	"strings"
	"testing"
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
