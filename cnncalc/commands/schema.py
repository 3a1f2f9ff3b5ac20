"""``cnncalc schema``: the JSON Schemas of the spec language and of the reports."""

from typing import Annotated

from cnncalc.commands import _options as options
from cnncalc.commands._command import command
from cnncalc.commands._options import argument
from cnncalc.errors import unknown_name


@command
def schema(
    of: Annotated[
        str,
        argument(
            "WHAT",
            "spec, or whose JSON to describe: report (analyze), rf-unit (rf --layer), report-many, "
            "check-many and lint-many (of several nets), diff-git (diff --git), or the name of any other command that "
            "writes JSON.",
        ),
    ],
    output: options.Output = None,
    force: options.Force = False,
) -> None:
    """Print the JSON Schema of the specs or of a report.

    Example: cnncalc schema spec --output spec.schema.json
    """
    import json

    from cnncalc.document import output as result

    result.keep_existing(output, force)
    if of == "spec":
        from cnncalc.spec.schema import spec_schema

        described = spec_schema()
    else:
        from cnncalc.report.schema import REPORTS, report_schema

        if of not in REPORTS:
            raise unknown_name("schema", of, ["spec", *REPORTS], ["spec", *REPORTS])
        described = report_schema(of)
    result.write(json.dumps(described, indent=2, ensure_ascii=False) + "\n", output)
