"""`pws completion`: the script that makes a shell complete `pws`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_PWS_COMPLETE"
"""The environment variable by which the script asks `pws` for completions; click's own name for it."""


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> None:
    """Print the script that completes pws in a shell.

    Completes commands, options, files and words that options take; with a service running at the address of the
    configuration (or PWS_URL) also names of groups and contacts, with the key in PWS_KEY where it wants one. A service
    that does not answer within 0.3 seconds is left out.

    \b
    For good, in the file that the shell reads at its start:
      ~/.bashrc                     eval "$(pws completion bash)"
      ~/.zshrc, below compinit      eval "$(pws completion zsh)"
      ~/.config/fish/config.fish    pws completion fish | source

    \b
    Example:
      pws completion bash > /etc/bash_completion.d/pws
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"there is no completion for {shell}")
    completion = kind(click.get_current_context().find_root().command, {}, "pws", VARIABLE)
    # click's source() looks for the version of a bash first, which need not be the one that reads this.
    click.echo((completion.source_template % completion.source_vars()).rstrip())
