package endings

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/leat-io/leat/pkg/events"
)

func TestAJournalIsReadInOrderAtAnyPace(t *testing.T) {
	var j Journal
	at := j.End()
	if _, more, err := j.Next(at); err != nil || more == nil {
		t.Fatalf("got %v", err)
	}
	_, more, _ := j.Next(at)
	for i := range 2 * pageMessages {
		j.Append([]byte(strconv.Itoa(i)))
	}
	<-more
	for i := 0; i < 2*pageMessages; {
		messages, _, err := j.Next(at)
		if err != nil || len(messages) == 0 {
			t.Fatalf("got %d, %v", len(messages), err)
		}
		for _, m := range messages {
			if string(m) != strconv.Itoa(i) {
				t.Fatalf("got %s at %d", m, i)
			}
			i++
		}
		at += int64(len(messages))
	}
}

// A journal holds so many messages, and so many bytes, and no more.
func TestAJournalIsBounded(t *testing.T) {
	for name, message := range map[string][]byte{"many": []byte("x"), "large": bytes.Repeat([]byte("x"), 1<<20)} {
		var j Journal
		for range journalMessages + 10 {
			j.Append(message)
		}
		if len(j.list) > journalMessages || j.bytes > journalBytes || len(j.list) == 0 {
			t.Errorf("%s: it holds %d messages, %d bytes", name, len(j.list), j.bytes)
		}
		if _, _, err := j.Next(0); !errors.Is(err, ErrBehind) {
			t.Errorf("%s: got %v", name, err)
		}
		if messages, _, err := j.Next(j.End() - 1); err != nil || len(messages) != 1 {
			t.Errorf("%s: got %d, %v", name, len(messages), err)
		}
	}
}

func TestAnOutputThatIsTooLargeIsLeftOut(t *testing.T) {
	s := &events.Snapshot{State: events.WorkflowCompleted, Output: json.RawMessage(`"` + strings.Repeat("x", MaxOutput) + `"`)}
	if e := EndOf(s); e.Output != nil || !e.Omitted {
		t.Errorf("got %d bytes, %v", len(e.Output), e.Omitted)
	}
	s.Output = json.RawMessage(`7`)
	message, err := Message(KindEnd, EndOf(s))
	if err != nil || !strings.HasPrefix(string(message), "event: end\ndata: {") || !strings.HasSuffix(string(message), "\n\n") {
		t.Errorf("got %s, %v", message, err)
	}
}
