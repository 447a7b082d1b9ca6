"""The report: one page that opens without network, and the final table.

`build(keys, root, out)` reads the files that the stages left under `root` and writes the page; `table(summary)` is the
text that the command prints at the end.
"""

from stages.report.build import build
from stages.report.summary import Row, Summary, table

__all__ = ["Row", "Summary", "build", "table"]
