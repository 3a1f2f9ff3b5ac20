"""``cnncalc schema``: the JSON Schemas of the spec language and of the reports."""

from typing import Annotated, Literal

import typer

from cnncalc.commands import _options as options


def schema(
    of: Annotated[
        Literal["spec", "report", "explain", "check", "lint", "rf", "rf-unit", "sizes", "solve", "verify", "zoo"],
        typer.Argument(
            metavar="WHAT",
            help="spec, or whose JSON to describe: report (analyze), explain, check, lint, rf, rf-unit (rf --layer), "
            "sizes, solve, verify or zoo.",
            show_default=False,
        ),
    ],
    output: options.Output = None,
) -> None:
    """Print the JSON Schema of the specs or of a report.

    Example: cnncalc schema spec --output spec.schema.json
    """
    import json

    from cnncalc.commands import _output

    if of == "spec":
        from cnncalc.spec.schema import spec_schema

        described = spec_schema()
    else:
        from cnncalc.report.schema import report_schema

        described = report_schema(of)
    _output.write(json.dumps(described, indent=2, ensure_ascii=False) + "\n", output)
