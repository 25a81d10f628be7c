"""The rows of the table of speeds, which `benchmarks/performance.py` prints: each beside its physical limit.

One module measures one row, or rows that need the same set-up; its docstring says what is measured and why that is
honest. `measure` is how they measure, `table` what is wanted of each row and how it is written. Programs that run as
processes of their own are in `benchmarks.rows.programs`.
"""
