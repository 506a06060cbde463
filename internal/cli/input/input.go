// Package input reads what the user of a command names: JSON in a flag, texts and
// definitions in files or on standard input. What is wrong with it is a problem
// that says so in the user's words.
package input

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/events"
)

// maxInput bounds what is read for one payload.
const maxInput = events.MaxPayloadLength + 1

// JSON reads the value of a flag such as --input: JSON, @file, or - for standard
// input. "" is nil.
func JSON(in io.Reader, flag, value string) (json.RawMessage, error) {
	var raw []byte
	var err error
	switch {
	case value == "":
		return nil, nil
	case value == "-":
		raw, err = io.ReadAll(io.LimitReader(in, maxInput))
	case strings.HasPrefix(value, "@"):
		raw, err = readFile(value[1:])
	default:
		raw = []byte(value)
	}
	if err != nil {
		return nil, problem.Wrap(problem.NoSuchFile, "cannot read --"+flag, err)
	}
	if len(raw) > events.MaxPayloadLength {
		return nil, problem.New(problem.CommandInvalid, "--"+flag+" is too large", fmt.Sprintf("a payload has at most %d bytes", events.MaxPayloadLength),
			"keep large content elsewhere and send a reference")
	}
	var parsed any
	if err := json.Unmarshal(raw, &parsed); err != nil {
		return nil, problem.New(problem.BadJSON, "--"+flag+" is not JSON", err.Error(), "")
	}
	return json.RawMessage(strings.TrimSpace(string(raw))), nil
}

// readFile reads a file that the user names; "-" is left to the caller.
func readFile(path string) ([]byte, error) {
	return os.ReadFile(path) //nolint:gosec // the user names the file
}

// Text is readFile with a problem for an error, and - for standard input.
func Text(in io.Reader, path string) ([]byte, error) {
	var raw []byte
	var err error
	if path == "-" {
		raw, err = io.ReadAll(in)
	} else {
		raw, err = readFile(path)
	}
	if err != nil {
		return nil, problem.Wrap(problem.NoSuchFile, "cannot read "+path, err)
	}
	return raw, nil
}
