package listen

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/leat-io/leat/internal/boot/ops"
	"github.com/leat-io/leat/internal/problem"
)

// A page of a stranger can let its own name mean our address. What it asks then
// carries its name: a loopback listener answers to loopback names only.
func TestHostsThatAreAnswered(t *testing.T) {
	const loopback, everywhere = "127.0.0.1:8470", "0.0.0.0:8470"
	for _, c := range []struct {
		listen, names, host string
		want                bool
	}{
		{loopback, "", "127.0.0.1:8470", true},
		{loopback, "", "127.0.0.1", true},
		{loopback, "", "127.1.2.3:9", true},
		{loopback, "", "localhost:8470", true},
		{loopback, "", "LocalHost", true},
		{loopback, "", "localhost.", true},
		{loopback, "", "localhost.:8470", true},
		{loopback, "", "[::1]:8470", true},
		{loopback, "", "[::1]", true},
		{loopback, "", "[::ffff:127.0.0.1]:8470", true},
		{"[::1]:8470", "", "localhost:8470", true},
		{"[::1]:8470", "", "attacker.example", false},
		{loopback, "", "", false},
		{loopback, "", "attacker.example:8470", false},
		{loopback, "", "localhost.attacker.example", false},
		{loopback, "", "127.0.0.1.attacker.example:8470", false},
		{loopback, "", "attacker.example@127.0.0.1", false},
		{loopback, "", "127.0.0.1:8470:8470", false},
		{loopback, "", "0.0.0.0:8470", false}, // browsers take it for this machine
		{loopback, "", "[::]:8470", false},
		{loopback, "", "10.0.0.1", false},
		{loopback, "", "2130706433", false},
		{loopback, "", ".", false},
		{loopback, "leat.corp", "leat.corp:8470", true},
		{loopback, "leat.corp", "LEAT.corp.", true},
		{loopback, "LEAT.corp:8470", "leat.corp", true},
		{loopback, "leat.corp", "other.corp", false},
		{loopback, "leat.corp", "x.leat.corp", false},
		{loopback, "leat.corp", "127.0.0.1", true},
		{loopback, ",", "", false}, // an empty name names nothing
		{everywhere, "", "anything.example", true},
		{everywhere, "", "10.0.0.1:8470", true},
		{everywhere, "", "", true},
		{everywhere, "leat.corp", "leat.corp", true},
		{everywhere, "leat.corp", "10.0.0.1:8470", true},
		{everywhere, "leat.corp", "[fd00::1]:8470", true},
		{everywhere, "leat.corp", "localhost", true},
		{everywhere, "leat.corp", "attacker.example", false},
		{everywhere, "leat.corp", "", false},
	} {
		addr, err := net.ResolveTCPAddr("tcp", c.listen)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		if c.names != "" {
			names = strings.Split(c.names, ",")
		}
		if got := knownHosts(addr, names)(c.host); got != c.want {
			t.Errorf("listening on %s, named %q: Host %q is answered: %t", c.listen, c.names, c.host, got)
		}
	}
}

// The check stands before every route, whoever registered it.
func TestForeignHostReachesNoRoute(t *testing.T) {
	var asked []string
	mux := ops.Handler(new(ops.Health), prometheus.NewRegistry(), ops.Build())
	mux.HandleFunc("/", func(_ http.ResponseWriter, r *http.Request) { asked = append(asked, r.Host+r.URL.Path) })
	server, err := HTTP(t.Context(), "127.0.0.1:0", mux)
	if err != nil {
		t.Fatal(err)
	}
	defer server.listener.Close()
	paths := []string{
		"/", "/console.js", "/metrics", "/livez", "/healthz", "/readyz", "/version", "/openapi.json",
		"/api/v1/instances", "/api/v1/instances/order/x/history/stream", "//attacker.example/", "/..",
	}
	for _, path := range paths {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodOptions, http.MethodDelete} {
			r := httptest.NewRequest(method, "http://attacker.example"+path, http.NoBody)
			w := httptest.NewRecorder()
			server.server.Handler.ServeHTTP(w, r)
			text := w.Body.String()
			if w.Code != http.StatusMisdirectedRequest || !strings.Contains(text, string(problem.ForeignHost)) || strings.Contains(text, "attacker") {
				t.Errorf("%s %s: %d %s", method, path, w.Code, text)
			}
		}
	}
	if len(asked) > 0 {
		t.Errorf("these were asked: %q", asked)
	}
	r := httptest.NewRequest(http.MethodGet, "http://localhost/metrics", http.NoBody)
	w := httptest.NewRecorder()
	if server.server.Handler.ServeHTTP(w, r); w.Code != http.StatusOK {
		t.Errorf("our own name is answered with %d", w.Code)
	}
}

// serveOne serves on the one end of a pipe what the test writes to the other.
func serveOne(t *testing.T, handler http.Handler) (client net.Conn) {
	t.Helper()
	client, served := net.Pipe()
	l := &handed{conns: make(chan net.Conn, 1)}
	l.conns <- served
	s := &http.Server{Handler: front{next: handler, known: func(string) bool { return true }}, ReadHeaderTimeout: time.Second}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.Serve(newDoors(l)) }()
	t.Cleanup(func() {
		_ = client.Close()
		_ = s.Close()
		<-ended
	})
	return client
}

// A body that never ends is ended: whether the handler reads it, or the server
// does because nobody has.
func TestBodyThatNeverEnds(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"read":   func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) },
		"unread": func(http.ResponseWriter, *http.Request) {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := serveOne(t, handler)
				began := time.Now()
				go func() {
					_, _ = io.WriteString(client, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n\r\n{")
				}()
				_, _ = io.Copy(io.Discard, client) // to the end of the connection
				if took := time.Since(began); took > bodyTime+5*time.Second {
					t.Errorf("it was held for %s", took)
				}
			})
		})
	}
}

// The deadline is for the body alone: an answer may last longer.
func TestAnswerOutlastsTheBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := serveOne(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			for range 3 {
				<-time.After(bodyTime)
				_, _ = io.WriteString(w, "still here\n")
				_ = http.NewResponseController(w).Flush()
			}
			if r.Context().Err() != nil {
				_, _ = io.WriteString(w, "but given up\n")
			}
		}))
		go func() {
			_, _ = io.WriteString(client, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
		}()
		resp, err := http.ReadResponse(bufio.NewReader(client), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil || string(text) != strings.Repeat("still here\n", 3) {
			t.Errorf("got %q, %v", text, err)
		}
	})
}
