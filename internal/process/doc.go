// Package process runs programs in process groups that end with this process,
// however it ends: what the operator's programs started does not go on behind it.
//
// It reads nothing of what they say and restarts nothing.
package process
