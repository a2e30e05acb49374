"""Benchmarks: how fast training is, against what it is to be compared with. Each prints one JSON object.

    python -m tests.bench.loop             the trainer against the bare step
    python -m tests.bench.versus_plain     the trainer against the usual script
    python -m tests.bench.screen           a threaded run beside a screen against the same run alone

What is measured, and how: docs/speed.md. Results of whole runs, with device, versions and date: results/.
"""
