//go:build !unix

package devkafka

// dirLock is nothing where there is no flock: the listening port is the only
// guard there.
type dirLock struct{}

func lockDir(string) (*dirLock, error) { return &dirLock{}, nil }

func (*dirLock) release() error { return nil }
