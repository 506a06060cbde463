// Package session is one run of the command line as its commands see it: the
// streams, the settings, the printer, and a client when one is needed. It knows
// no command.
package session

import (
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/boot"
	"github.com/leat-io/leat/internal/boot/config"
	"github.com/leat-io/leat/internal/boot/ops"
	"github.com/leat-io/leat/internal/cli/output"
)

// Streams is everything that the program has of the world.
type Streams struct {
	In      io.Reader
	Out     io.Writer
	Err     io.Writer
	Environ []string
}

// Session is what the commands share.
type Session struct {
	Streams
	Print    *output.Printer
	Settings *config.Settings // nil before Configure
	Programs *boot.Programs   // that end with the process; nil for none
}

// New returns a session without settings: Configure reads them.
func New(s Streams, programs *boot.Programs) *Session {
	plain := slices.ContainsFunc(s.Environ, func(pair string) bool {
		return strings.HasPrefix(pair, "NO_COLOR=") && pair != "NO_COLOR=" || pair == "TERM=dumb"
	})
	return &Session{
		Streams: s, Programs: programs,
		Print: &output.Printer{
			Format: "table", Out: s.Out, Err: s.Err,
			Color: !plain && ops.IsTerminal(s.Out), ErrColor: !plain && ops.IsTerminal(s.Err),
		},
	}
}

// Configure reads the settings before a command runs.
func (s *Session) Configure(cmd *cobra.Command) error {
	if err := s.Print.Check(cmd.Annotations[output.FormatsOf], cmd.Flags().Changed("output")); err != nil {
		return err
	}
	var err error
	s.Settings, err = config.Load("leat", cmd.Flags(), s.Environ)
	return err
}

// Logger says nothing below usual, unless another level was asked for.
func (s *Session) Logger(usual string) (*slog.Logger, error) {
	level := s.Settings.Text("log.level")
	if !s.Settings.Given("log.level") {
		level = usual
	}
	return ops.NewLogger(s.Err, level, s.Settings.Text("log.format"))
}
