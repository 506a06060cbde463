package fleet

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/leat-io/leat/pkg/events"
)

// maxKey bounds a key, in bytes.
const maxKey = 64 << 10

// ReadKey reads a key where it is kept. What is around it in white space is no
// part of it. The error names the place, and nothing that is there.
func ReadKey(k *events.MCPKey) (string, error) {
	if k.Env != "" {
		key := strings.TrimSpace(os.Getenv(k.Env))
		if key == "" {
			return "", fmt.Errorf("the executor has no variable %s, or it is empty", k.Env)
		}
		return key, nil
	}
	info, err := os.Stat(k.File)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", fmt.Errorf("the executor has no file %s", k.File)
	case errors.Is(err, os.ErrPermission):
		return "", fmt.Errorf("the executor may not read %s", k.File)
	case err != nil:
		return "", fmt.Errorf("%s cannot be read", k.File)
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is no regular file", k.File)
	}
	file, err := os.Open(k.File)
	if err != nil {
		return "", fmt.Errorf("the executor may not read %s", k.File)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxKey+1))
	key := strings.TrimSpace(string(text))
	switch {
	case err != nil:
		return "", fmt.Errorf("%s cannot be read", k.File)
	case len(text) > maxKey:
		return "", fmt.Errorf("%s holds more than %d bytes, which is no key", k.File, maxKey)
	case key == "":
		return "", fmt.Errorf("%s is empty", k.File)
	}
	return key, nil
}

// hashOf is what may be said of a key.
func hashOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}
