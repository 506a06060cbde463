package boot

import "testing"

func TestDevServesLoopbackUnlessItIsMeant(t *testing.T) {
	for _, c := range []struct {
		http   string
		remote bool
		ok     bool
	}{
		{"", false, true},
		{"127.0.0.1:0", false, true},
		{"localhost:0", false, true},
		{"[::1]:0", false, true},
		{"0.0.0.0:0", false, false},
		{":8470", false, false},
		{"[::]:0", false, false},
		{"10.0.0.1:8470", false, false},
		{"leat.example:8470", false, false},
		{"0.0.0.0:0", true, true},
	} {
		_, err := DevOptions{HTTP: c.http, HTTPRemote: c.remote, Memory: true}.withDefaults()
		if (err == nil) != c.ok {
			t.Errorf("--http %q, remote %t: %v", c.http, c.remote, err)
		}
	}
}
