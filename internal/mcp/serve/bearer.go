package serve

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Bearers knows who may enter, from a file that has no token in it, only names and
// the SHA-256 of tokens. A file that changes is read again. It is safe for
// concurrent use.
type Bearers struct {
	path   string
	logger *slog.Logger

	mu     sync.Mutex
	names  map[[sha256.Size]byte]string
	read   time.Time // modification time of what was read
	looked time.Time // when the file was last looked at
}

// lookEvery is how long a change of the file may go unseen.
const lookEvery = time.Second

// maxBearers bounds the file, in lines.
const maxBearers = 100_000

var bearerName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

// ReadBearers reads a file of lines "NAME SHA256", the second in hexadecimal; empty
// lines and those that begin with # are passed over. One name may have several
// tokens: what was asked with one can be asked for with another.
func ReadBearers(path string, logger *slog.Logger) (*Bearers, error) {
	b := &Bearers{path: path, logger: logger}
	return b, b.load()
}

func (b *Bearers) load() error {
	f, err := os.Open(b.path)
	if err != nil {
		return fmt.Errorf("read the bearers: %w", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("read the bearers: %w", err)
	}
	names := make(map[[sha256.Size]byte]string)
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		name, digest, ok := strings.Cut(text, " ")
		sum, err := hex.DecodeString(strings.TrimSpace(digest))
		if !ok || err != nil || len(sum) != sha256.Size || !bearerName.MatchString(name) {
			return fmt.Errorf("line %d of %s is not a name and a SHA-256 in hexadecimal", n, b.path) // the line may be a token
		}
		if names[[sha256.Size]byte(sum)] = name; len(names) > maxBearers {
			return fmt.Errorf("%s has more than %d lines", b.path, maxBearers)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read the bearers: %w", err)
	}
	if len(names) == 0 {
		return fmt.Errorf("%s names nobody", b.path)
	}
	b.names, b.read, b.looked = names, info.ModTime(), time.Now()
	return nil
}

// Name is whose token it is.
func (b *Bearers) Name(token string) (string, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Since(b.looked) > lookEvery {
		b.looked = time.Now()
		if info, err := os.Stat(b.path); err == nil && !info.ModTime().Equal(b.read) {
			if err := b.load(); err != nil {
				b.logger.Warn("the bearers stay as they were", "error", err)
			}
		}
	}
	name, ok := b.names[sha256.Sum256([]byte(token))]
	return name, ok
}
