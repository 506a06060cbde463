//go:build !unix

package rig

import "time"

// OwnTime is not known here.
func OwnTime() time.Duration { return 0 }
