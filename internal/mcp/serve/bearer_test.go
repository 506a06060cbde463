package serve_test

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leat-io/leat/internal/mcp/serve"
)

// A file that is not what it has to be is refused with the place, and never shown:
// it may hold a token.
func TestBearersThatCannotBeRead(t *testing.T) {
	digest := fmt.Sprintf("%x", sha256.Sum256([]byte("t")))
	for name, c := range map[string]struct{ text, want string }{
		"a token":        {"# all\nann super-secret-token\n", "line 2"},
		"no name":        {digest + "\n", "line 1"},
		"a short digest": {"ann " + digest[:62] + "\n", "line 1"},
		"a bad name":     {"ann/bob " + digest + "\n", "line 1"},
		"a long name":    {strings.Repeat("a", 65) + " " + digest + "\n", "line 1"},
		"nobody":         {"# nobody\n\n", "names nobody"},
		"a long line":    {"ann " + strings.Repeat("0", 70_000), "read the bearers"},
	} {
		path := filepath.Join(t.TempDir(), "tokens")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := serve.ReadBearers(path, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := serve.ReadBearers(filepath.Join(t.TempDir(), "absent"), nil); err == nil {
		t.Error("a file that is not there is read")
	}
}
