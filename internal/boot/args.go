package boot

import (
	"errors"
	"strings"
)

// splitArgs splits a command line as a shell would, without its expansions:
// blanks separate, quotes hold together, a backslash takes the next character.
func splitArgs(line string) ([]string, error) {
	var s splitter
	for _, r := range line {
		s.take(r)
	}
	if s.quote != 0 || s.escaped {
		return nil, errors.New("a quote or a backslash is not closed")
	}
	s.end()
	return s.args, nil
}

type splitter struct {
	args    []string
	word    strings.Builder
	inWord  bool // a word has begun, though it may be empty
	quote   rune // that is open, 0 for none
	escaped bool
}

func (s *splitter) take(r rune) {
	switch {
	case s.escaped:
		s.word.WriteRune(r)
		s.escaped = false
	case r == '\\' && s.quote != '\'':
		s.escaped, s.inWord = true, true
	case s.quote != 0 && r == s.quote:
		s.quote = 0
	case s.quote != 0:
		s.word.WriteRune(r)
	case r == '\'' || r == '"':
		s.quote, s.inWord = r, true
	case strings.ContainsRune(" \t\n", r):
		s.end()
	default:
		s.word.WriteRune(r)
		s.inWord = true
	}
}

// end takes what was gathered as an argument.
func (s *splitter) end() {
	if s.inWord {
		s.args = append(s.args, s.word.String())
		s.word.Reset()
		s.inWord = false
	}
}
