package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/leattest"
)

// The program as it stands, against an engine in real time.
func TestHello(t *testing.T) {
	if got, err := hello(t.Context(), leattest.Start(t).Brokers()...); err != nil || got != "Hello, Ada!" {
		t.Errorf("%q, %v", got, err)
	}
}

// The workflow and the handler, in virtual time.
func TestGreet(t *testing.T) {
	leattest.Virtual(t, func(t *testing.T, env *leattest.Env) {
		env.Handle("hello.greet", greet)
		env.Deploy("hello.yaml")
		run, err := env.Client().Start(t.Context(), client.StartRequest{Type: "hello", Input: "Bob"})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := client.Result[string](t.Context(), run); err != nil || got != "Hello, Bob!" {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// It is the first thing that people read, and stays short.
func TestHelloIsShort(t *testing.T) {
	for file, most := range map[string]int{"main.go": 40, "hello.yaml": 12} {
		text, err := os.ReadFile(file)
		if n := bytes.Count(text, []byte("\n")); err != nil || n > most {
			t.Errorf("%s has %d lines, at most %d (%v)", file, n, most, err)
		}
	}
}
