package cli

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const cliPage = "../../docs/reference/cli.md"

// The page of commands is what the commands say of themselves.
func TestReference(t *testing.T) {
	got := reference(commands())
	if *rewrite {
		if err := os.WriteFile(cliPage, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got != read(t, cliPage) {
		t.Errorf("%s does not say what the commands say: go test ./internal/cli -run TestReference -rewrite", cliPage)
	}
}

func reference(root *cobra.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# The command line\n\n%s\n\nThis page is made from what `--help` says; a test compares them.\n\n", escape(root.Long))
	var list []*cobra.Command
	each(root, func(c *cobra.Command) { list = append(list, c) })
	for _, c := range list[1:] {
		fmt.Fprintf(&b, "- [`%s`](#%s): %s\n", c.CommandPath(), strings.ReplaceAll(c.CommandPath(), " ", "-"), escape(c.Short))
	}
	b.WriteString("\n## Flags of every command\n\n")
	flags(&b, root.PersistentFlags())
	b.WriteString("\n`leat config` lists the settings that have no flag here, and the source of each value.\n")
	for _, c := range list[1:] {
		about(&b, c)
	}
	return b.String()
}

// each visits a command and those below it that people can use.
func each(c *cobra.Command, visit func(*cobra.Command)) {
	visit(c)
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "help" && sub.Name() != "completion" {
			each(sub, visit)
		}
	}
}

func about(b *strings.Builder, c *cobra.Command) {
	fmt.Fprintf(b, "\n## %s\n\n", c.CommandPath())
	text := c.Long
	if text == "" {
		text = c.Short + "."
	}
	fmt.Fprintf(b, "%s\n\n", escape(text))
	if c.HasAvailableSubCommands() {
		return
	}
	fmt.Fprintf(b, "```\n%s\n```\n", c.UseLine())
	if c.Example != "" {
		fmt.Fprintf(b, "\n```\n%s\n```\n", c.Example)
	}
	if c.NonInheritedFlags().HasAvailableFlags() {
		b.WriteString("\n")
		flags(b, c.NonInheritedFlags())
	}
}

func flags(b *strings.Builder, set *pflag.FlagSet) {
	b.WriteString("| Flag | Default | Meaning |\n|---|---|---|\n")
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		name := "`--" + f.Name + "`"
		if f.Shorthand != "" {
			name = "`-" + f.Shorthand + "`, " + name
		}
		kind, usage := pflag.UnquoteUsage(f)
		if kind != "" {
			name += " " + kind
		}
		def := ""
		switch f.DefValue {
		case "", "[]", "false", "0", "0s":
		default:
			def = "`" + f.DefValue + "`"
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", name, def, escape(usage))
	})
}

// escape is text that means the same in Markdown, also in a cell of a table.
func escape(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "*", `\*`, "_", `\_`).Replace(text)
}
