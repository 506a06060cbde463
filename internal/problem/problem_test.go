package problem

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"testing"
)

func TestRegistryIsComplete(t *testing.T) {
	form := regexp.MustCompile(`^LEAT-[A-Z]\d{3}$`)
	for _, c := range Codes() {
		k := Describe(c)
		if !form.MatchString(string(c)) || k.Title == "" || k.Exit == ExitOK || k.Fix == "" && c != Interrupted {
			t.Errorf("%s is registered as %+v", c, k)
		}
	}
}

func TestProblem(t *testing.T) {
	cause := errors.New("one\ntwo")
	p := Wrap(KafkaAway, "cannot write", cause)
	if p.Error() != "cannot write: one; two" || p.Exit() != ExitUnavailable || !errors.Is(p, cause) {
		t.Errorf("got %q, exit %d", p, p.Exit())
	}
	if !errors.Is(fmt.Errorf("x: %w", p), &Problem{Code: KafkaAway}) || errors.Is(p, &Problem{Code: Usage}) {
		t.Error("problems are not compared by their codes")
	}
	if p := Wrap(KafkaAway, "cannot write", nil); p.Error() != "cannot write" || p.Unwrap() != nil {
		t.Errorf("a problem without a cause is %q", p)
	}
	var text bytes.Buffer
	New(Usage, "what", "why\nmore", "fix").WriteText(&text, false)
	if want := "error[LEAT-U001]: what\n  why : why\n        more\n  fix : fix\n"; text.String() != want {
		t.Errorf("got\n%swant\n%s", &text, want)
	}
	text.Reset()
	New(Usage, "<what>", "", "fix").WriteJSON(&text)
	var got map[string]map[string]string
	if err := json.Unmarshal(text.Bytes(), &got); err != nil || got["error"]["what"] != "<what>" || len(got["error"]) != 4 {
		t.Errorf("got %s, %v", &text, err)
	}
}

func TestSuggest(t *testing.T) {
	known := []string{"start", "signal", "get", "history", "kafka.brokers"}
	for word, want := range map[string]string{
		"statr": "start", "singal": "signal", "gte": "get", "kafka.broker": "kafka.brokers", "xyzzyx": "", "": "",
	} {
		if got := Suggest(word, known); got != want {
			t.Errorf("%q suggests %q, want %q", word, got, want)
		}
	}
}
