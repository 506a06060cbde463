// Package schedule has the commands for schedules.
package schedule

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/cli/output"
	"github.com/leat-io/leat/internal/cli/session"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
)

// app is what the commands of this package share.
type app struct{ *session.Session }

// Command is `leat schedule` with its commands.
func Command(s *session.Session) *cobra.Command {
	a := &app{s}
	cmd := &cobra.Command{
		Use: "schedule", Aliases: []string{"schedules"}, Short: "Start workflows on a schedule",
		Long: "Start workflows on a schedule. A router starts one instance for each scheduled run, exactly once, across restarts,\n" +
			"rebalances and outages.",
		Example: "  leat schedule create nightly --type report --cron '0 3 * * *' --tz Europe/Berlin\n" +
			"  leat schedule next nightly -n 5\n" +
			"  leat schedule trigger nightly\n" +
			"  leat schedule backfill nightly --from 2026-11-01 --to 2026-11-07",
	}
	cmd.AddCommand(a.createCommand(), a.applyCommand(), a.listCommand(), a.getCommand(),
		a.pauseCommand(), a.resumeCommand(), a.deleteCommand(), a.nextCommand(),
		a.triggerCommand(), a.backfillCommand())
	return cmd
}

func (a *app) createCommand() *cobra.Command {
	var f documentFlags
	cmd := &cobra.Command{
		Use: "create ID", Short: "Create a schedule", Args: cobra.ExactArgs(1),
		Long: "Create a schedule. Its runs are scheduled from now on.\n\n" +
			"--overlap says what happens to a scheduled run while an instance of the schedule is still running: skip leaves it out,\n" +
			"buffer_one lets one run wait and buffer_all every run, cancel_other and terminate_other end the other first,\n" +
			"allow_all runs both.\n\n" +
			"In --input and --key, {schedule}, {due} and {date} stand for the id of the schedule, the scheduled time and its date.",
		Example: "  leat schedule create nightly --type report --cron '0 3 * * *' --tz Europe/Berlin --input '{\"day\": \"{date}\"}'\n" +
			"  leat schedule create poll --type sync --every 10m --jitter 1m --overlap skip\n" +
			"  leat schedule create office --type digest --cron '0 9,17 * * mon-fri' --overlap allow_all --key 'digest-{due}'",
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.file.Type == "" {
				return problem.New(problem.Usage, "--type is missing", "a schedule starts workflows of one type", "leat def list shows the types")
			}
			s, err := f.record(a, args[0])
			if err != nil {
				return err
			}
			return a.With(cmd.Context(), session.Kafka, false, func(ctx context.Context, c *client.Client) error {
				s, err := c.CreateSchedule(ctx, s)
				if err != nil {
					return err
				}
				return a.wrote(&s, "created")
			})
		},
	}
	f.flags(a, cmd)
	return cmd
}

func (a *app) applyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "apply FILE...", Short: "Create or update schedules from files", Args: cobra.MinimumNArgs(1),
		Long: "Create or update schedules from YAML or JSON files. A file may hold several documents.\n" +
			"Applying the same file again changes nothing. When the times of a schedule change, its runs are scheduled from then on.",
		Example: "  leat schedule apply nightly.yaml\n  cat *.yaml | leat schedule apply -",
		RunE: func(cmd *cobra.Command, args []string) error {
			var all []client.Schedule
			for _, path := range args {
				list, err := a.readSchedules(path)
				if err != nil {
					return err
				}
				all = append(all, list...)
			}
			return a.With(cmd.Context(), session.Kafka, false, func(ctx context.Context, c *client.Client) error {
				for i := range all {
					s, changed, err := c.ApplySchedule(ctx, all[i])
					if err != nil {
						return err
					}
					what := "applied"
					if !changed {
						what = "unchanged"
					}
					if err := a.wrote(&s, what); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}

// wrote shows a schedule that was written.
func (a *app) wrote(s *client.Schedule, what string) error {
	v := viewOf(s, time.Now(), 1)
	return a.Print.Value(v, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "%s schedule %s\n", what, s.ScheduleID)
		output.Fields(w, "  type", s.WorkflowType, "  times", v.times(), "  state", v.state(), "  next", v.next())
	})
}

func (a *app) pauseCommand() *cobra.Command {
	return a.changeCommand(&cobra.Command{
		Use: "pause ID", Short: "Pause a schedule: it starts nothing until it is resumed",
		Example: "  leat schedule pause nightly --note 'the warehouse is moving'",
	}, "paused", (*client.Client).PauseSchedule)
}

func (a *app) resumeCommand() *cobra.Command {
	return a.changeCommand(&cobra.Command{
		Use: "resume ID", Short: "Resume a paused schedule",
		Long:    "Resume a paused schedule. Runs that were scheduled during the pause are left out; `leat schedule backfill` starts them.",
		Example: "  leat schedule resume nightly",
	}, "resumed", (*client.Client).ResumeSchedule)
}

func (a *app) changeCommand(cmd *cobra.Command, what string, change func(*client.Client, context.Context, string, string) (client.Schedule, error)) *cobra.Command {
	var note string
	cmd.Args, cmd.ValidArgsFunction = cobra.ExactArgs(1), a.completeSchedule
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.With(cmd.Context(), session.Kafka, false, func(ctx context.Context, c *client.Client) error {
			s, err := change(c, ctx, args[0], note)
			if err != nil {
				return err
			}
			return a.wrote(&s, what)
		})
	}
	cmd.Flags().StringVar(&note, "note", "", "a note for people: why")
	return cmd
}

func (a *app) deleteCommand() *cobra.Command {
	return &cobra.Command{
		Use: "delete ID...", Short: "Delete schedules", Args: cobra.MinimumNArgs(1), ValidArgsFunction: a.completeSchedule,
		Long:    "Delete schedules. The workflows that they started go on.",
		Example: "  leat schedule delete nightly",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.With(cmd.Context(), session.Kafka, false, func(ctx context.Context, c *client.Client) error {
				for _, id := range args {
					if err := c.DeleteSchedule(ctx, id); err != nil {
						return err
					}
					if err := a.Print.Value(map[string]string{"deleted": id}, func(w io.Writer) { _, _ = fmt.Fprintf(w, "deleted schedule %s\n", id) }); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}

func (a *app) triggerCommand() *cobra.Command {
	var action client.ScheduleAction
	var overlap, id string
	cmd := &cobra.Command{
		Use: "trigger ID", Short: "Start one workflow of a schedule now", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeSchedule,
		Long: "Start one workflow of a schedule now, also while it is paused. The overlap policy applies.",
		Example: "  leat schedule trigger nightly\n" +
			"  leat schedule trigger nightly --overlap allow_all\n" +
			"  leat schedule trigger nightly --command-id 0198c0de-0000-7000-8000-000000000001   # a second time it is a duplicate",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			action.ScheduleID, action.Overlap = args[0], events.OverlapPolicy(overlap)
			if action.CommandID, err = commandID(id); err != nil {
				return err
			}
			return a.With(cmd.Context(), session.Kafka, false, func(ctx context.Context, c *client.Client) error {
				return a.asked(c.TriggerSchedule(ctx, action))
			})
		},
	}
	overlapFlag(cmd, &overlap, "", "overlap policy of this start (default: the schedule's)")
	cmd.Flags().StringVar(&id, "command-id", "", "id of the command, a UUID: a second command with this id is a duplicate (default: new)")
	return cmd
}

func (a *app) backfillCommand() *cobra.Command {
	var action client.ScheduleAction
	var overlap, id, from, to string
	cmd := &cobra.Command{
		Use: "backfill ID", Short: "Start the workflows of a past range", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeSchedule,
		Long: "Start the workflows that a schedule would have started in a past range, also while it is paused. A run whose\n" +
			"workflow exists is not started again. With buffer_all, the default, they run one after the other.",
		Example: "  leat schedule backfill nightly --from 2026-11-01 --to 2026-11-07T12:00:00Z\n" +
			"  leat schedule backfill nightly --from 2026-11-01 --to 2026-11-07 --overlap allow_all",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			action.ScheduleID, action.Overlap = args[0], events.OverlapPolicy(overlap)
			if from == "" || to == "" {
				return problem.New(problem.Usage, "--from and --to are missing", "a backfill needs a range", "leat schedule backfill "+args[0]+" --from 2026-11-01 --to 2026-11-07")
			}
			if action.CommandID, err = commandID(id); err != nil {
				return err
			}
			return a.With(cmd.Context(), session.Kafka, false, func(ctx context.Context, c *client.Client) error {
				s, err := c.Schedule(ctx, args[0])
				if err != nil {
					return err
				}
				if action.From, err = instantFlag("from", from, s.TimeZone); err != nil {
					return err
				}
				if action.To, err = instantFlag("to", to, s.TimeZone); err != nil {
					return err
				}
				if overlap == "" {
					action.Overlap = events.OverlapBufferAll
					if s.Key != "" {
						action.Overlap = events.OverlapAllowAll
					}
				}
				return a.asked(c.BackfillSchedule(ctx, action))
			})
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "first scheduled time: a date, or a time such as 2026-11-01T09:00:00Z; without an offset in the schedule's zone")
	cmd.Flags().StringVar(&to, "to", "", "last scheduled time, in the same form")
	overlapFlag(cmd, &overlap, "", "overlap policy of these starts (default: buffer_all, one after the other)")
	cmd.Flags().StringVar(&id, "command-id", "", "id of the command, a UUID: a second command with this id is a duplicate (default: new)")
	return cmd
}

// asked shows that a request was accepted.
func (a *app) asked(receipt client.Receipt, err error) error {
	if err != nil {
		return err
	}
	return a.Print.Value(receipt, func(w io.Writer) {
		_, _ = fmt.Fprintln(w, "accepted; leat schedule get shows its progress")
		output.Fields(w, "  command", receipt.CommandID.String(), "  record", fmt.Sprintf("%s/%d@%d", receipt.Topic, receipt.Partition, receipt.Offset))
	})
}

func commandID(text string) (events.UUID, error) {
	if text == "" {
		return events.Nil, nil
	}
	id, err := events.ParseUUID(text)
	if err != nil {
		return id, problem.New(problem.Usage, "--command-id is not a UUID", err.Error(), "leave it out: it is new then")
	}
	return id, nil
}

// completeSchedule offers the existing schedules.
func (a *app) completeSchedule(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	var ids []string
	a.Complete(cmd, func(ctx context.Context, c *client.Client) {
		all, err := c.Schedules(ctx)
		if err != nil {
			return
		}
		for _, s := range all {
			ids = append(ids, s.ScheduleID)
		}
	})
	return ids, cobra.ShellCompDirectiveNoFileComp
}
