package httpcall

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/leat-io/leat/pkg/events"
)

// answer is the result of a task.
type answer struct {
	Status   int               `json:"status"`
	Headers  map[string]string `json:"headers"` // names in lower case
	Body     json.RawMessage   `json:"body"`
	Encoding string            `json:"encoding,omitempty"` // "base64" of a body that is not text
}

// dropped headers are about the connection, or are credentials, which have no
// place in a history.
var dropped = []string{"Connection", "Keep-Alive", "Set-Cookie", "Set-Cookie2", "Trailer", "Transfer-Encoding", "Upgrade", "Www-Authenticate"}

// result writes an answer as JSON. The body is JSON when the content type says
// so, else a text.
func result(resp *http.Response, body []byte) (json.RawMessage, error) {
	if len(body) > maxBody {
		return nil, fail(CodeTooLarge, "%s answered with more than %d bytes", describe(resp.Request), maxBody)
	}
	out := answer{Status: resp.StatusCode, Headers: make(map[string]string, len(resp.Header)), Body: json.RawMessage("null")}
	for name, values := range resp.Header {
		if !slices.Contains(dropped, name) {
			out.Headers[strings.ToLower(name)] = strings.ToValidUTF8(strings.Join(values, ", "), "�")
		}
	}
	trimmed := bytes.TrimSpace(body)
	switch {
	case len(trimmed) == 0:
	case saysJSON(resp.Header.Get("Content-Type")):
		if !json.Valid(trimmed) || !utf8.Valid(trimmed) {
			return nil, fail(CodeBadResponse, "%s answered %d with a body that is not the JSON that its content type promises", describe(resp.Request), resp.StatusCode)
		}
		out.Body = trimmed
	case utf8.Valid(body):
		out.Body = encode(string(body))
	default:
		out.Body, out.Encoding = encode(base64.StdEncoding.EncodeToString(body)), "base64"
	}
	text := encode(out)
	if len(text) > events.MaxPayloadLength {
		return nil, fail(CodeTooLarge, "%s answered with %d bytes as JSON, at most %d fit a result", describe(resp.Request), len(text), events.MaxPayloadLength)
	}
	return text, nil
}

// encode writes v, which always can be written, without making HTML harmless.
func encode(v any) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(v) != nil {
		return json.RawMessage("null")
	}
	return bytes.TrimSpace(b.Bytes())
}

// saysJSON reports application/json and everything that ends in +json.
func saysJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == "application/json" || strings.HasSuffix(media, "+json"))
}
