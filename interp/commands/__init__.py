"""The commands of `python -m interp`, one a file, each named in `interp.__main__`.

A file has `add(commands)`, which adds its parser to the subparsers, and `run(options)`, which does what it says. Torch
is imported within `run`: it takes seconds, and `--help` needs none.
"""
