"""`python -m bench`: measure the hub, and print a table."""

import os
import platform
import statistics
from pathlib import Path

import click

from bench.measures import MEASURES, Figure, Plan

README = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- figures -->\n", "<!-- end of figures -->\n"
RUNS = 3


@click.command()
@click.argument("what", type=click.Choice([*MEASURES, "all"]), default="all")
@click.option("--quick", is_flag=True, help="One short run of each.")
@click.option("--write", is_flag=True, help="Put the table into bench/README.md.")
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default="/var/tmp",
    show_default=True,
    help="Where the data of the hubs lies: on a disk, for every message is synced to it.",
)
def main(what: str, quick: bool, write: bool, folder: Path) -> None:
    """Measure the hub on one core, with the load generator on another."""
    if write and (quick or what != "all"):
        raise click.UsageError("--write is for a full run of everything")
    if (os.cpu_count() or 1) < 2:
        raise click.UsageError("the hub and the load generator need a core each")
    plan = Plan(folder, quick)
    lines = []
    for name in MEASURES if what == "all" else [what]:
        runs = []
        for run in range(1 if quick else RUNS):
            click.echo(f"{name}, run {run + 1} …", err=True)
            runs.append(list(MEASURES[name](plan)))
        lines += [line(figures) for figures in zip(*runs, strict=True)]
    made = table(lines)
    click.echo(made)
    if write:
        text = README.read_text()
        start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
        README.write_text(text[:start] + made + text[end:])


def line(figures: tuple[Figure, ...]) -> str:
    """Write the row of one figure, as it came out in each of the runs."""
    values = [figure.value for figure in figures]
    first = figures[0]
    spread = f"{show(min(values))} to {show(max(values))}" if len(values) > 1 else ""
    middle = show(statistics.median(values))
    return f"| {first.what} | {middle} {first.unit} | {spread} | {first.goal} |\n"


def show(value: float) -> str:
    """Write a number with three significant digits, or as a whole one."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"


def table(lines: list[str]) -> str:
    """Write the table, and what it was measured on."""
    head = "| what | median | range | goal |\n|---|---|---|---|\n"
    version = platform.python_version()
    return f"{os.cpu_count()} cores, Python {version}, SQLite.\n\n{head}{''.join(lines)}"


if __name__ == "__main__":
    main()
