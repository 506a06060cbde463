package apicall

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Every way in which an answer is none has its own error.
func TestAnswersThatAreNone(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		want   error
	}{
		{"not JSON", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, ErrAnswer},
		{"a proxy's 502", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, ErrAway},
		{"a foreign 404", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, ErrAnswer},
		{"silence", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, context.DeadlineExceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(tt.answer)
			defer server.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			var out any
			c := &Caller{Base: server.URL, HTTP: server.Client()}
			if err := c.Call(ctx, Request{Method: http.MethodGet, Path: "/x"}, &out); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestAProblemIsAnError(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Content-Type") != "application/json" || r.URL.Query().Get("a") != "1" {
			t.Errorf("got %v, %v", r.Header, r.URL)
		}
		w.WriteHeader(http.StatusConflict)
		_, _ = w.Write([]byte(`{"title":"No","detail":"not now","code":"LEAT-W004","fix":"look again"}`))
	}))
	defer server.Close()
	c := &Caller{Base: server.URL, HTTP: server.Client()}
	err := c.Call(t.Context(), Request{Method: http.MethodPost, Path: "/x", Query: map[string][]string{"a": {"1"}}, Body: 1}, nil)
	var p *Problem
	if !errors.As(err, &p) || p.Status != http.StatusConflict || p.Code != "LEAT-W004" || p.Fix != "look again" || err.Error() != "No: not now" {
		t.Fatalf("got %v", err)
	}
}

// A stream is read message by message: comments, kinds, data in several lines.
func TestMessages(t *testing.T) {
	const stream = ": hello\n\nevent: end\ndata: 1\n\nid: 7\ndata:2\ndata: 3\n\ndata: never\n\n"
	var got []string
	over, err := Messages(strings.NewReader(stream), func(kind, data string) (bool, error) {
		got = append(got, kind+"="+data)
		return len(got) == 3, nil
	})
	if !over || err != nil || fmt.Sprint(got) != "[= end=1 =23]" {
		t.Fatalf("got %v, %v, %v", got, over, err)
	}
	if over, err := Messages(strings.NewReader("data: half"), func(string, string) (bool, error) { return true, nil }); over || err != nil {
		t.Fatalf("half a message: got %v, %v", over, err)
	}
}
