package leattest

import (
	"testing"
	"testing/synctest"

	"github.com/leat-io/leat/internal/devkafka"
)

// Virtual runs f with an engine in virtual time.
func Virtual(t *testing.T, f func(t *testing.T, env *Env)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f(t, start(t, new(devkafka.Network)))
	})
}
