"""Options that take several values at once: `--negatives A B --noise C`, as well as one each time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click


class ManyValues(click.Command):
    """A command without arguments, whose repeatable options may be given several values in a row."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        names = {
            name
            for one in self.params
            if isinstance(one, click.Option) and one.multiple
            for name in (*one.opts, *one.secondary_opts)
        }
        return super().parse_args(ctx, list(repeated(args, names)))


def repeated(args: Sequence[str], names: set[str]) -> Iterator[str]:
    """`--x A B` to `--x A --x B` for the options of these names."""
    current, values = "", 0
    for arg in args:
        if arg.startswith("-") and arg != "-":
            current, values = arg if arg in names else "", 0
        elif current:
            if values:
                yield current
            values += 1
        yield arg
